-- Every candidate is open at first; contested is one of whose objects another candidate has too.
CREATE OR REPLACE TEMP TABLE open_candidates AS
SELECT *, count(*) OVER (PARTITION BY id_a) > 1 OR count(*) OVER (PARTITION BY id_b) > 1 AS contested FROM candidates
