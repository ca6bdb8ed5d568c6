-- Record the rows that cannot be used, with their place in the file and the reason. Rows enter `incoming` in the order
-- of the file, but until the transaction ends DuckDB numbers them from a large number on.
INSERT INTO rejections BY NAME
WITH start AS (SELECT min(rowid) AS record FROM incoming),
faulty AS (
    SELECT i.rowid - (SELECT record FROM start) AS record, coalesce(i._id_text, CAST(i.object_id AS VARCHAR), '') AS object_id, i._reason AS reason,
           CAST(NULL AS BIGINT) AS first_record
    FROM incoming AS i WHERE i._reason IS NOT NULL
    UNION ALL
    SELECT i.rowid - (SELECT record FROM start), CAST(i.object_id AS VARCHAR), NULL,
           r.first_record - (SELECT record FROM start)
    FROM incoming AS i JOIN repeats AS r ON r._record = i.rowid),
placed AS (
    SELECT p.file, p.row + f.record - p.first AS row, f.object_id, f.reason, f.first_record
    FROM faulty AS f ASOF JOIN pieces AS p ON f.record >= p.first)
SELECT f.file, f.row, f.object_id,
       coalesce(f.reason, 'the same ' || $id || ' is already in row ' || (q.row + f.first_record - q.first)
           || CASE WHEN q.file <> f.file THEN ' of ' || q.file ELSE '' END) AS reason,
       $round AS round, $run AS run
FROM placed AS f ASOF LEFT JOIN pieces AS q ON f.first_record >= q.first
UNION ALL
SELECT $file, row, object_id, reason, $round, $run FROM malformed
ORDER BY file, row
