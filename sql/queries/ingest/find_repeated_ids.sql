-- Records whose id occurs in an earlier good record of the file, with that record.
CREATE TEMP TABLE repeats AS
WITH doubles AS (
    SELECT object_id, min(rowid) AS first_record
    FROM incoming WHERE _reason IS NULL GROUP BY object_id HAVING count(*) > 1)
SELECT i.rowid AS _record, d.first_record
FROM incoming AS i JOIN doubles AS d ON d.object_id = i.object_id
WHERE i._reason IS NULL AND i.rowid <> d.first_record
