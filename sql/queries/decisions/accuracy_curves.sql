-- Accuracy against coverage on the test sets. Validation steers the training and calibration the promotion, so neither
-- is a test set.
SELECT test_set, survey, round, coverage, value, low, high, n
FROM metrics
WHERE metric = 'accuracy' AND variable IS NULL AND truth = 'debiased' AND test_set NOT IN ('validation', 'calibration')
  AND ($rounds::INTEGER[] IS NULL OR list_contains($rounds::INTEGER[], round))
ORDER BY test_set DESC, survey, round, coverage
