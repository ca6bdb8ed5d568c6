-- The fitting half as it stood in a round, with the recorded posteriors of its model.
SELECT c.truth, COLUMNS('^p_')
FROM calibration_at($round) AS c
JOIN (SELECT survey, object_id, COLUMNS('^p_') FROM predictions WHERE model = $round AND round = $round) AS s
    ON s.survey = c.survey AND s.object_id = c.object_id
WHERE c.survey = $target AND c.half = 'fit' AND c.truth IS NOT NULL
ORDER BY c.survey, c.object_id
