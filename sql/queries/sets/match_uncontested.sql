-- Start with the candidates whose objects have no other candidate: each is a pair.
CREATE OR REPLACE TEMP TABLE pairs AS SELECT * FROM open_candidates WHERE NOT contested
