-- The smaller side, whose cells become the hash table, in HEALPix order, so that a batch of it is a region of the sky. Its
-- rows are numbered here, because DuckDB gives rows of an open transaction other rowids than they have later.
CREATE OR REPLACE TEMP TABLE small_side AS
SELECT object_id, ra, dec, healpix, row_number() OVER (ORDER BY healpix) AS place FROM standing_objects_at()
WHERE survey = $survey AND healpix IS NOT NULL AND ($origins IS NULL OR list_contains($origins, origin))
ORDER BY healpix
