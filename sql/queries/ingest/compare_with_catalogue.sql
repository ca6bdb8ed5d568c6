-- Join the comparisons of objects and of archive rows. They are wide, and one large join at a time keeps within the
-- memory limit. A file without any column that the radius depends on leaves the radius unchanged.
CREATE TEMP TABLE known AS
SELECT _record, object_id, object_run, weaker, moved_arcsec, row_run, row_differs, radius_arcsec,
       as_strong AND (value_differs OR radius_arcsec IS DISTINCT FROM standing_radius) AS object_differs
FROM (SELECT o.*, r.row_run, coalesce(r.row_differs, false) AS row_differs,
             CASE WHEN NOT {has_radius} THEN o.standing_radius
                  WHEN r.row_run IS NULL THEN o.file_radius ELSE r.merged_radius END AS radius_arcsec
      FROM known_objects AS o LEFT JOIN known_rows AS r ON r._record = o._record)
