-- Objects of the file that have a row in the archive's table, whether the file's columns differ from it, and the radius
-- from both together: from the file's columns where it has them, else from the row's.
CREATE TEMP TABLE known_rows AS
SELECT _record, row_run, row_differs, CAST(CASE WHEN {radius} > 0 THEN {radius} END AS FLOAT) AS merged_radius
FROM (SELECT a._record, t.run AS row_run, ({differs}) AS row_differs{needed}
      FROM accepted AS a
      JOIN (SELECT * FROM standing_rows WHERE survey = $survey) AS t ON t.object_id = a.object_id)
