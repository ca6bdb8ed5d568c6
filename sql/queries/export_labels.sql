-- Every standing label; test objects have none.
SELECT survey, object_id, label, confidence, source, label_round
FROM catalog
WHERE label IS NOT NULL
ORDER BY survey, object_id
