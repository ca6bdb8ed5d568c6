-- How many objects a model is so sure of, class by class in steps of confidence, the surest first. The steps are fine
-- where confidences crowd: a step is a thousandth of a factor e in what is left to one.
SELECT predicted_label, confidence_step(predicted_confidence) AS step, count(*) AS objects
FROM predictions
WHERE model = $round AND predicted_confidence BETWEEN $least AND 1  -- not a NaN
GROUP BY ALL ORDER BY predicted_label, step DESC
