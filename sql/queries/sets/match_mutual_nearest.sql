-- Add as pairs the open candidates that are the nearest of both their objects; ties go to the lower id.
INSERT INTO pairs
SELECT * FROM open_candidates
QUALIFY row_number() OVER (PARTITION BY id_a ORDER BY separation_arcsec, id_b) = 1
    AND row_number() OVER (PARTITION BY id_b ORDER BY separation_arcsec, id_a) = 1
