-- Of the objects whose features were kept: members of one test set with true class, pool objects with predicted class.
SELECT 'test' AS part, survey, object_id, truth AS class
FROM test_sets WHERE test_set = $test_set AND truth IS NOT NULL AND round <= $at
UNION ALL
SELECT 'pool', survey, object_id, predicted_label
FROM catalog_at($at)
WHERE split = 'pool' AND domain = 'in' AND test_set IS NULL AND firewall IS NULL AND predicted_label IS NOT NULL
ORDER BY ALL
