-- The eligible objects, and the labelled objects that may be used for training.
SELECT k.survey, k.object_id, false AS labelled FROM temp.eligible AS k
UNION ALL
SELECT c.survey, c.object_id, true
FROM places_at() AS c
JOIN standing_labels_at() AS l ON l.survey = c.survey AND l.object_id = c.object_id
WHERE c.split IN ('train', 'pool') AND c.domain = 'in' AND c.test_set IS NULL AND c.firewall IS NULL
ORDER BY ALL
