-- The batch, one row for each cell in which a partner of the object may lie.
CREATE OR REPLACE TEMP TABLE small_cells AS
SELECT unnest(cells) AS cell, object_id, ra, dec FROM small_batch
