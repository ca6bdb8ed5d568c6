-- Accuracy of each round on the fixed test sets, with intervals
-- Empty without a test set that has a truth.
SELECT test_set, survey, round, n, round(100 * value, 1) AS accuracy, round(100 * low, 1) AS low, round(100 * high, 1) AS high
FROM metrics
WHERE metric = 'accuracy' AND coverage = 1 AND variable IS NULL AND truth = 'debiased'
  AND test_set NOT IN ('validation', 'calibration')
ORDER BY test_set DESC, survey, round;
