-- Malformed lines of the CSV file, each once. A quoted cell that does not end swallows the lines after it: they are
-- listed too, since there may be good rows among them.
CREATE TEMP TABLE malformed AS
WITH faults AS (
    SELECT CAST(line AS BIGINT) AS first_row, any_value(error_type) AS fault,
           string_split(trim(any_value(csv_line), chr(10) || chr(13)), chr(10)) AS lines
    FROM reject_errors GROUP BY line),
taken AS (
    SELECT first_row, fault, unnest(CASE fault WHEN 'UNQUOTED VALUE' THEN lines ELSE lines[:1] END) AS text,
           generate_subscripts(CASE fault WHEN 'UNQUOTED VALUE' THEN lines ELSE lines[:1] END, 1) - 1 AS later
    FROM faults)
SELECT first_row + later AS row, coalesce(nullif(trim(string_split(text, ',')[$id_place]), ''), '') AS object_id,
       CASE WHEN later > 0 THEN 'it became part of row ' || first_row || ', where a quoted cell does not end'
            WHEN fault = 'MISSING COLUMNS' THEN 'it has fewer cells than the header'
            WHEN fault = 'TOO MANY COLUMNS' THEN 'it has more cells than the header'
            WHEN fault = 'UNQUOTED VALUE' THEN 'a quoted cell does not end'
            WHEN fault = 'INVALID ENCODING' THEN 'it is not UTF-8 text'
            WHEN fault = 'LINE SIZE OVER MAXIMUM' THEN 'it is longer than 2,000,000 bytes, the limit of a line'
            ELSE 'it cannot be read as a row' END AS reason
FROM taken
WHERE trim(text, chr(13) || ' ') <> ''
