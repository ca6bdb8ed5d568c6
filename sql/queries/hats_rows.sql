-- As `hats_sort` put them: DuckDB keeps the order of a table's rows.
SELECT * FROM hats_rows
