-- Lines of the CSV file that are no rows, each once.
CREATE TEMP TABLE malformed AS
SELECT CAST(line AS BIGINT) AS row,
       coalesce(nullif(trim(string_split(ltrim(any_value(csv_line), chr(10) || chr(13)), ',')[$id_place]), ''), '') AS object_id,
       CASE any_value(error_type)
           WHEN 'MISSING COLUMNS' THEN 'it has fewer cells than the header'
           WHEN 'TOO MANY COLUMNS' THEN 'it has more cells than the header'
           WHEN 'UNQUOTED VALUE' THEN 'a quoted cell does not end'
           WHEN 'INVALID ENCODING' THEN 'it is not UTF-8 text'
           WHEN 'LINE SIZE OVER MAXIMUM' THEN 'it is longer than a line may be'
           ELSE 'it cannot be read as a row' END AS reason
FROM reject_errors
GROUP BY line
