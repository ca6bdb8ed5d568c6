-- Earlier rejections of these files, so that a repeated command does not record them twice.
SELECT DISTINCT file, row, object_id, reason
FROM rejections
WHERE list_contains($files, file)
