-- Both together, apart from the wide comparisons: one large join at a time keeps within the memory limit.
CREATE TEMP TABLE known AS
SELECT o.*, r.row_run, coalesce(r.row_differs, false) AS row_differs
FROM known_objects AS o LEFT JOIN known_rows AS r ON r._record = o._record
