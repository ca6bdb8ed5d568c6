-- The calibration objects that a certified round recorded, with its model's scores and the source of the true class.
SELECT c.survey, c.object_id, c.half, c.truth, c.weight, c.counted, p.predicted_label, p.calibrated_confidence, a.source
FROM calibration AS c
JOIN predictions AS p ON p.survey = c.survey AND p.object_id = c.object_id AND p.model = c.round
LEFT JOIN calibration_at($round) AS a ON a.survey = c.survey AND a.object_id = c.object_id
WHERE c.round = $round
ORDER BY c.survey, c.object_id
