-- Record which rows the new ones replace.
INSERT INTO revisions BY NAME
SELECT 'objects' AS table_name, $survey AS survey, object_id, object_run AS replaced_run, $round AS round, $run AS run
FROM known WHERE weaker OR ($update AND object_differs)
UNION ALL
SELECT $table, $survey, object_id, row_run, $round, $run
FROM known WHERE $update AND row_differs
ORDER BY ALL
