-- Record which rows are replaced by newer rows of this recording.
INSERT INTO revisions BY NAME
SELECT $table AS table_name, o.survey, o.object_id, o.run AS replaced_run, $round AS round, $run AS run
FROM {table} AS o
SEMI JOIN (SELECT survey, object_id FROM {table} WHERE run = $run) AS n
    ON n.survey = o.survey AND n.object_id = o.object_id
ANTI JOIN (SELECT * FROM revisions WHERE table_name = $table) AS r
    ON r.survey = o.survey AND r.object_id = o.object_id AND r.replaced_run = o.run
WHERE o.run < $run
ORDER BY o.survey, o.object_id
