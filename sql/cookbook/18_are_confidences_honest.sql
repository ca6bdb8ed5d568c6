-- Calibration: confidence against accuracy on the test sets, in bins
-- A calibrated network is right nine times in ten where it says 0.9; `calibrated_confidence` should be.
SELECT t.test_set, t.survey, floor(10 * least(c.predicted_confidence, 0.999)) / 10 AS confidence_from, count(*) AS objects,
       round(avg(c.predicted_confidence), 3) AS said, round(avg((c.predicted_label = t.truth)::INTEGER), 3) AS was_right
FROM test_sets AS t
JOIN catalog AS c ON c.survey = t.survey AND c.object_id = t.object_id
WHERE c.model IS NOT NULL AND t.truth IS NOT NULL
GROUP BY ALL
ORDER BY ALL;
