-- Objects whose predicted class changed between models
-- Between the first model and the latest. Empty if all models agree.
SELECT f.survey, f.object_id, f.predicted_label AS first_said, round(f.predicted_confidence, 3) AS first_confidence,
       l.predicted_label AS latest_says, round(l.predicted_confidence, 3) AS latest_confidence
FROM predictions AS f
JOIN predictions AS l ON l.survey = f.survey AND l.object_id = f.object_id
WHERE f.model = (SELECT min(model) FROM models) AND l.model = (SELECT max(model) FROM models)
  AND l.predicted_label <> f.predicted_label
ORDER BY l.predicted_confidence DESC, f.survey, f.object_id
LIMIT 20;
