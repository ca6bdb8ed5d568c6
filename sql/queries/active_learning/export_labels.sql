-- Every standing label and its annotator; test objects have none.
SELECT c.survey, c.object_id, c.label, c.confidence, c.source, l.annotator, c.label_round
FROM catalog AS c
JOIN standing_labels_at() AS l ON l.survey = c.survey AND l.object_id = c.object_id
WHERE c.label IS NOT NULL
ORDER BY c.survey, c.object_id
