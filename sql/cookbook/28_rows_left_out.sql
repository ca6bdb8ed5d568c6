-- Rejected rows of tables
-- Empty if every row was valid.
SELECT file, regexp_replace(reason, '[0-9.]+', 'N', 'g') AS reason, count(*) AS rows, min(row) AS first_row
FROM rejections
GROUP BY ALL
ORDER BY rows DESC, file, reason
LIMIT 20;
