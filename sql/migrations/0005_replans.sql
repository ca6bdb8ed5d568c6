-- Plans that replaced the plan of an unfinished round: the same objects, recipe and seed on other processes.
-- `rounds` keeps the first plan of a round as it was recorded.
CREATE TABLE replans (
    round INTEGER, number INTEGER, ranks INTEGER, threads INTEGER, hosts VARCHAR, after_step VARCHAR, run INTEGER
);
