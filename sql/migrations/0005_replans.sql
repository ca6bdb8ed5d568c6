-- Plans that took the place of an unfinished round's plan: the same objects, recipe and seed, by other processes.
-- `rounds` keeps the first plan of a round as it was recorded.
CREATE TABLE replans (
    round INTEGER, number INTEGER, ranks INTEGER, threads INTEGER, hosts VARCHAR, after_step VARCHAR, run INTEGER
);
