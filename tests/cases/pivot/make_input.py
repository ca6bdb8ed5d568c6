"""PIVOT looks for its columns in the data first, which DuckDB does in a statement of its own."""
