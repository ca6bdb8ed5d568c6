-- Objects that a model is sure enough of, promotable or not: steps down to the one given for their class.
SELECT p.survey, p.object_id
FROM surest AS p
JOIN steps_of_classes AS s ON s.predicted_label = p.predicted_label
WHERE p.predicted_confidence >= $least AND confidence_step(p.predicted_confidence) >= s.step
