-- The calibration objects that no earlier round would have promoted, with the scores of the round's model. Objects that
-- became test objects, or near to one, while the round ran are left out.
SELECT c.survey, c.object_id, c.half, c.truth, p.predicted_label, p.calibrated_confidence,
       uniform_draw('accept', c.survey, c.object_id) AS draw, c.source
FROM calibration_at($round) AS c
SEMI JOIN calibration_at() AS n ON n.survey = c.survey AND n.object_id = c.object_id
JOIN predictions AS p ON p.survey = c.survey AND p.object_id = c.object_id AND p.model = $round
SEMI JOIN left_at($round, $target) AS t ON t.survey = c.survey AND t.object_id = c.object_id
WHERE c.survey = $target AND c.truth IS NOT NULL AND p.calibrated_confidence IS NOT NULL
ORDER BY c.survey, c.object_id
