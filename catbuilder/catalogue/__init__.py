"""The DuckDB file and the workspace folder: open, migrate, lock, record, back up."""
