-- Pairs of objects within the radius.
CREATE OR REPLACE TEMP TABLE candidates (id_a BIGINT, id_b BIGINT, separation_arcsec DOUBLE)
