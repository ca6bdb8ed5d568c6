-- Posteriors of a round's model for test galaxies with a true class that no round has trained on, in descending order of
-- the test set's name (HP before FO).
SELECT t.test_set, t.survey, t.object_id, t.truth, p.predicted_label, p.predicted_confidence, p.calibrated_confidence,
       COLUMNS('^p_')
FROM test_sets AS t
JOIN (SELECT survey, object_id, predicted_label, predicted_confidence, calibrated_confidence, COLUMNS('^p_')
      FROM predictions WHERE model = $model AND round <= $at) AS p
    ON p.survey = t.survey AND p.object_id = t.object_id
WHERE t.truth IS NOT NULL AND t.round <= $at
  AND NOT EXISTS (FROM training AS n WHERE n.survey = t.survey AND n.object_id = t.object_id AND n.round <= $at)
ORDER BY t.test_set DESC, t.survey, t.object_id
