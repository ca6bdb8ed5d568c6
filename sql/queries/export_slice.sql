-- A slice of the catalogue by id, sorted. The ids reach every table behind `catalog_at`, whose rows are sorted by id
-- as they were loaded, so that a slice reads little else and is joined in bounded memory.
SELECT * FROM catalog_at($at)
WHERE survey = $survey AND object_id >= $low AND (object_id < $high OR $high = 9223372036854775807)
-- condition
ORDER BY survey, object_id
