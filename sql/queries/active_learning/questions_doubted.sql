-- Objects that a model is at least so much in doubt about, whoever they are.
SELECT survey, object_id
FROM predictions
WHERE model = $model AND ($survey IS NULL OR survey = $survey) AND predicted_confidence <= 1
  AND CAST(10000 * doubt_by($strategy, margin, uncertainty, mutual_information) AS INTEGER) >= $step
