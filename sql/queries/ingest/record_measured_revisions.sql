-- Record which rows of objects those of `record_measurements` replace.
INSERT INTO revisions BY NAME
SELECT 'objects' AS table_name, survey, object_id, replaced_run, $round AS round, $run AS run
FROM measured_objects
ORDER BY survey, object_id
