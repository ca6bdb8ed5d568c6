-- The whole certifying half with a model's posteriors, on which calibration is measured and never fitted.
SELECT c.truth, p.predicted_label, p.predicted_confidence, p.calibrated_confidence, COLUMNS('^p_')
FROM calibration_at($round) AS c
JOIN (SELECT survey, object_id, predicted_label, predicted_confidence, calibrated_confidence, COLUMNS('^p_')
      FROM predictions WHERE model = $round) AS p
    ON p.survey = c.survey AND p.object_id = c.object_id
WHERE c.survey = $target AND c.half = 'certify' AND c.truth IS NOT NULL
ORDER BY c.survey, c.object_id
