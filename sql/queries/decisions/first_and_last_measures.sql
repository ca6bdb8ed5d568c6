-- Accuracy at each coverage, and AUC (mean over the classes), on the test sets: of the model that speaks after the first
-- of these rounds and of the one that speaks after the last. Validation steers the training and calibration the
-- promotion, so neither is a test set.
WITH measured AS (
    SELECT round, test_set, survey, metric, coverage, avg(value) AS value
    FROM metrics
    WHERE round IN ($first, $last) AND variable IS NULL AND truth = 'debiased' AND value IS NOT NULL
      AND (metric = 'accuracy' OR (metric = 'auc' AND coverage = 1))
      AND test_set NOT IN ('validation', 'calibration')
    GROUP BY ALL)
SELECT a.test_set, a.survey, a.metric AS measure, a.coverage, a.value AS first, b.value AS last
FROM measured AS a
JOIN measured AS b USING (test_set, survey, metric, coverage)
WHERE a.round = $first AND b.round = $last
ORDER BY ALL
