-- What was set aside of these files before, so that the same command again does not say it twice.
SELECT DISTINCT file, row, object_id, reason
FROM rejections
WHERE list_contains($files, file)
