-- Load every record of the file with typed values, and the reason if it cannot be used. The slots are lists of
-- expressions over our own column names: raw cells, typed values, ICRS positions, columns to keep, and faults. Our own names begin with
-- _, which the names of columns to keep cannot.
CREATE TEMP TABLE incoming AS
SELECT object_id, ra, dec, {columns}
       CASE WHEN object_id IS NULL THEN left(CAST(_id AS VARCHAR), 80) END AS _id_text,
       CASE
           WHEN _id IS NULL THEN $id || ' is empty; every row needs one'
           WHEN object_id IS NULL AND regexp_full_match(CAST(_id AS VARCHAR), '\d+')
               THEN $id || ' ' || left(CAST(_id AS VARCHAR), 80) || ' does not fit 64 bits'
           WHEN object_id IS NULL THEN $id || ' ' || left(CAST(_id AS VARCHAR), 80)
               || ' is not a whole positive number; was the table saved by a spreadsheet?'
           WHEN NOT coalesce(list_contains($sky_versions, object_id >> 59), true) THEN $other_release
           WHEN _ra IS NULL AND _dec IS NULL THEN 'it has no position'
           WHEN _ra IS NULL THEN $ra || ' is missing'
           WHEN _dec IS NULL THEN $dec || ' is missing'
           WHEN _longitude IS NULL THEN $ra || ' is ''' || left(CAST(_ra AS VARCHAR), 80) || $ra_spelling
           WHEN _latitude IS NULL THEN $dec || ' is ''' || left(CAST(_dec AS VARCHAR), 80) || $dec_spelling
           WHEN _longitude NOT BETWEEN -180 AND 360 THEN $ra || ' is ' || _longitude || ' deg, outside -180 to 360'
           WHEN _latitude NOT BETWEEN -90 AND 90 THEN $dec || ' is ' || _latitude || ' deg, outside -90 to 90'
           {faults}
       END AS _reason
FROM (SELECT *, {placed} FROM (SELECT *, {typed} FROM (SELECT {cells} FROM {source})))
