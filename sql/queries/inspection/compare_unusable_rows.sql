-- The first rows of the other catalogue that cannot be paired, and malformed lines of its file, by their place in the
-- file; and how many there are.
WITH faulty AS (
    SELECT row - 1 AS record, coalesce(CAST(object_id AS VARCHAR), '') AS object_id,
           CASE $by WHEN 'id' THEN 'its id is empty or not a whole positive number'
                    ELSE $unreadable END AS reason
    FROM theirs WHERE CASE $by WHEN 'id' THEN object_id IS NULL ELSE healpix IS NULL END)
SELECT file, row, object_id, reason, (SELECT count(*) FROM faulty) + (SELECT count(*) FROM malformed) AS unusable
FROM (SELECT p.file, p.row + f.record - p.first AS row, f.object_id, f.reason
      FROM faulty AS f ASOF JOIN pieces AS p ON f.record >= p.first
      UNION ALL
      SELECT $file, row, object_id, reason FROM malformed)
ORDER BY file, row LIMIT $most
