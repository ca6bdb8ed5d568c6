-- The side whose cells become the hash table, along the sky, so that a batch of it is a region. Its rows are numbered
-- here, since DuckDB gives the rows of an open transaction other rowids than they have later.
CREATE OR REPLACE TEMP TABLE small_side AS
SELECT object_id, ra, dec, healpix, row_number() OVER (ORDER BY healpix) AS place FROM standing_objects_at()
WHERE survey = $survey AND healpix IS NOT NULL AND ($origins IS NULL OR list_contains($origins, origin))
ORDER BY healpix
