-- Every row of the Parquet files.
SELECT * FROM read_parquet($files, hive_partitioning = false)
