"""DESCRIBE, SUMMARIZE, SHOW, UNPIVOT, VALUES and a query that begins with FROM, as a DuckDB user writes them."""
