-- Number of objects by uncertainty, in steps of 0.0001, the largest uncertainty first.
SELECT CAST(10000 * doubt_by($strategy, margin, uncertainty, mutual_information) AS INTEGER) AS step, count(*) AS objects
FROM predictions
WHERE model = $model AND ($survey IS NULL OR survey = $survey) AND predicted_confidence <= 1  -- not a NaN
GROUP BY ALL ORDER BY step DESC
