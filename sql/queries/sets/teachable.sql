-- Images that may teach a round by the prediction of an earlier model. The calibration images are treated exactly as the
-- pool's, whatever their true class.
SELECT p.survey, p.object_id, p.predicted_label, p.predicted_confidence
FROM predictions AS p
JOIN places_at($round) AS c ON c.survey = p.survey AND c.object_id = p.object_id
LEFT JOIN standing_labels_at($round) AS l ON l.survey = p.survey AND l.object_id = p.object_id
WHERE p.model = $model AND p.round < $round AND p.survey = $target
  AND p.predicted_confidence <= 1  -- false for a NaN
  AND c.split IN ('pool', 'calibration') AND c.domain = 'in' AND c.quality = 'ok'
  AND c.test_set IS NULL AND c.firewall IS NULL
  AND (c.split = 'calibration' OR coalesce(l.source, 'promoted') = 'promoted')
