-- The number of objects in each step of confidence, by class, the highest first. Steps are fine near 1, where confidences
-- crowd: from one step to the next, 1 - confidence changes by a thousandth.
SELECT predicted_label, confidence_step(predicted_confidence) AS step, count(*) AS objects
FROM surest
WHERE predicted_confidence >= $least
GROUP BY ALL ORDER BY predicted_label, step DESC
