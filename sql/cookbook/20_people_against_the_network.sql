-- Objects on which a person and the network disagree
-- Empty if nobody has labelled, or all agree.
SELECT c.survey, c.object_id, c.label AS person_says, l.annotator, c.predicted_label AS network_says,
       round(c.predicted_confidence, 3) AS confidence
FROM catalog AS c
JOIN standing_labels_at() AS l ON l.survey = c.survey AND l.object_id = c.object_id
WHERE c.source = 'human' AND c.predicted_label <> c.label
ORDER BY c.predicted_confidence DESC, c.survey, c.object_id
LIMIT 20;
