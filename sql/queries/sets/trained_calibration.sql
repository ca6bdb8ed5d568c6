-- The number of calibration objects that a round has trained on.
SELECT count(DISTINCT (n.survey, n.object_id))
FROM training AS n
WHERE n.role = 'training'
  AND ((n.survey = $labelled AND n.object_id IN (SELECT labelled_id FROM drawn))
    OR (n.survey = $target AND n.object_id IN (SELECT target_id FROM drawn)))
