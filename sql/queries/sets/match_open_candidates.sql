-- Candidates that may still become pairs. One is contested if another candidate has one of its objects.
CREATE OR REPLACE TEMP TABLE open_candidates AS
SELECT *, count(*) OVER (PARTITION BY id_a) > 1 OR count(*) OVER (PARTITION BY id_b) > 1 AS contested FROM candidates
