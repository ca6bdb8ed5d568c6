-- Accuracy of the most confident tenth, quarter, half ... of a test set
-- The curve of the latest round at a few points; `catbuilder metrics --figure curves.png` draws it.
SELECT test_set, survey, round(100 * coverage)::INTEGER AS per_cent_covered, n, round(value, 3) AS accuracy
FROM metrics
WHERE metric = 'accuracy' AND variable IS NULL AND truth = 'debiased'
  AND test_set NOT IN ('validation', 'calibration') AND round = (SELECT max(round) FROM metrics)
  AND round(100 * coverage)::INTEGER IN (10, 25, 50, 75, 90, 100)
ORDER BY ALL;
