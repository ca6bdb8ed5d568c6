-- Objects with at least a given uncertainty, eligible or not.
SELECT survey, object_id
FROM predictions
WHERE model = $model AND ($survey IS NULL OR survey = $survey) AND predicted_confidence <= 1
  AND CAST(10000 * doubt_by($strategy, margin, uncertainty, mutual_information) AS INTEGER) >= $step
