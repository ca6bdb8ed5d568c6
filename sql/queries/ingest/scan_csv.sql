-- Every row of a CSV file, all cells as text; malformed lines go to reject_errors. The file is not compressed, whatever
-- its name says.
SELECT *
FROM read_csv($file, skip = $skip, columns = $columns, header = false, auto_detect = false, all_varchar = true,
              delim = ',', quote = '"', escape = '"', store_rejects = true, hive_partitioning = false,
              compression = 'none')
