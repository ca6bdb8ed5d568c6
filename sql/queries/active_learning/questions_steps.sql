-- How many objects a model is so much in doubt about, in steps of a ten-thousandth, the greatest doubt first.
SELECT CAST(10000 * doubt_by($strategy, margin, uncertainty, mutual_information) AS INTEGER) AS step, count(*) AS objects
FROM predictions
WHERE model = $model AND ($survey IS NULL OR survey = $survey) AND predicted_confidence <= 1  -- not a NaN
GROUP BY ALL ORDER BY step DESC
