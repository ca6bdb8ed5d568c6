-- The batch, once for each cell that it or a partner of it may lie in.
CREATE OR REPLACE TEMP TABLE small_cells AS
SELECT unnest(cells) AS cell, object_id, ra, dec FROM small_batch
