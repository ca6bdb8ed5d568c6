-- Record the objects that a round trains on and validates on.
INSERT INTO training BY NAME
SELECT $round AS round, i.survey, i.object_id, i.role, i.class AS label, i.source, $run AS run
FROM read_parquet($manifest, hive_partitioning = false) AS i
ORDER BY i.survey, i.object_id
