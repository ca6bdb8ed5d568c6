-- Each stamp that was taken out of use, by its image's file, in which it has no row.
INSERT INTO rejections BY NAME
SELECT file, CAST(NULL AS BIGINT) AS row, CAST(object_id AS VARCHAR) AS object_id, reason, round, run
FROM stamps WHERE run = $run
ORDER BY file
