-- The most confident objects of a model, promotable or not, down to the given step of confidence of each class.
SELECT p.survey, p.object_id
FROM surest AS p
JOIN steps_of_classes AS s ON s.predicted_label = p.predicted_label
WHERE p.predicted_confidence >= $least AND confidence_step(p.predicted_confidence) >= s.step
