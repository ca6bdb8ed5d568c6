-- The first objects whose values differ from the catalogue's, as whole rows: the file's, the object's, the archive's.
-- The radius is computed from the columns of the file and the archive together.
SELECT k.object_differs, k.row_differs, k.radius_arcsec, a, o, t
FROM (SELECT * FROM known WHERE object_differs OR row_differs ORDER BY object_id LIMIT $first) AS k
JOIN accepted AS a ON a._record = k._record
JOIN (SELECT * FROM standing_objects WHERE survey = $survey) AS o ON o.object_id = a.object_id
LEFT JOIN (SELECT * FROM standing_rows WHERE survey = $survey) AS t ON t.object_id = a.object_id
ORDER BY a.object_id
