-- Row groups of 61,440 rows are thirty of DuckDB's vectors: larger ones need more memory and are hardly smaller on disk.
COPY selected_rows TO $file (
    FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 61440, KV_METADATA $metadata
)
