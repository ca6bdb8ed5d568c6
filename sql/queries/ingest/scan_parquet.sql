-- Every row of Parquet files whose columns have the same types.
SELECT {columns} FROM read_parquet(${files}, hive_partitioning = false)
