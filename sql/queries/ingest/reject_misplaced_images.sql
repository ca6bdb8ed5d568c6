-- List each stamp that was taken out of use among the rejections, by its image's file, without a row number.
INSERT INTO rejections BY NAME
SELECT file, CAST(NULL AS BIGINT) AS row, CAST(object_id AS VARCHAR) AS object_id, reason, round, run
FROM stamps WHERE run = $run
ORDER BY file
