-- The certifiable objects of the pool whose features were kept.
SELECT survey, object_id FROM certifiable
SEMI JOIN (SELECT survey, object_id FROM read_parquet($files, hive_partitioning = false)) USING (survey, object_id)
ORDER BY survey, object_id
