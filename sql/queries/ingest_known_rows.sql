-- Objects of the file that have a row in the archive's table, and whether the file's columns differ from it.
CREATE TEMP TABLE known_rows AS
SELECT a._record, t.run AS row_run, ({differs}) AS row_differs
FROM accepted AS a
JOIN (SELECT * FROM standing_rows WHERE survey = $survey) AS t ON t.object_id = a.object_id
