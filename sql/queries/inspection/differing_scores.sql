-- Recorded scores of a model that are in none of its score files as they are recorded.
SELECT survey, object_id, count(*) OVER () AS differing
FROM (SELECT {columns} FROM scores WHERE model = $model) AS recorded
ANTI JOIN (SELECT * {replaced} FROM read_parquet($files, hive_partitioning = false)) AS written ON {same}
ORDER BY survey, object_id
LIMIT $n
