-- The number of scores of a model and a sum of their hashes, as recorded and in its score files, in any order.
SELECT count(*), sum(hash({columns})::HUGEINT) FROM scores WHERE model = $model
UNION ALL
SELECT count(*), sum(hash({columns})::HUGEINT) FROM (SELECT * {replaced} FROM read_parquet($files, hive_partitioning = false))
