-- Different objects with the very same image
-- Two rows of a table that name one file, or copies of it. Empty where every image is its own.
SELECT count(*) AS objects, list(survey || ' ' || object_id ORDER BY survey, object_id)[:5] AS some, any_value(file) AS file
FROM standing_stamps_at()
WHERE quality = 'ok'
GROUP BY sha256
HAVING count(*) > 1
ORDER BY objects DESC, file
LIMIT 20;
