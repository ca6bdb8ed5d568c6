-- Confusion matrix
-- Counts of the latest round by true and predicted class.
SELECT test_set, survey, class AS truly, predicted AS called, value::BIGINT AS objects
FROM metrics
WHERE metric = 'confusion' AND coverage = 1 AND round = (SELECT max(round) FROM metrics)
ORDER BY ALL;
