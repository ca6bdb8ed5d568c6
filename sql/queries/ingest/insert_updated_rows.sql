-- Insert new rows of objects whose archive row is to be updated; columns that the file lacks keep their values.
INSERT INTO {table} BY NAME
SELECT $survey AS survey, a.object_id, {merged}, $round AS round, $run AS run
FROM (SELECT _record, object_id, row_run FROM known WHERE $update AND row_differs) AS k
JOIN accepted AS a ON a._record = k._record
JOIN (SELECT * FROM {table} WHERE survey = $survey) AS t ON t.object_id = k.object_id AND t.run = k.row_run
ORDER BY a.object_id
