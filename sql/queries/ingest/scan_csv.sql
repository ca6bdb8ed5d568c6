-- Every row of a CSV file, all cells as text; a line that is no row goes to reject_errors.
SELECT *
FROM read_csv($file, skip = $skip, columns = $columns, header = false, auto_detect = false, all_varchar = true,
              delim = ',', quote = '"', escape = '"', store_rejects = true)
