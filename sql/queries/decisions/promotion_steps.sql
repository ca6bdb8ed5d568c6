-- How many of the surest objects a model is how sure of, class by class in steps of confidence, the surest first. The
-- steps are fine where confidences crowd: a step is a thousandth of a factor e in what is left to one.
SELECT predicted_label, confidence_step(predicted_confidence) AS step, count(*) AS objects
FROM surest
WHERE predicted_confidence >= $least
GROUP BY ALL ORDER BY predicted_label, step DESC
