-- Rows of a VOTable with a cell that does not fit its column, as the reader set them aside.
CREATE TEMP TABLE malformed AS
SELECT row, object_id, reason FROM set_aside
