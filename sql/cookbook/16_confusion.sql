-- Which class is taken for which
-- Counts of the latest round: true class by row, predicted class beside it.
SELECT test_set, survey, class AS truly, predicted AS called, value::BIGINT AS objects
FROM metrics
WHERE metric = 'confusion' AND coverage = 1 AND round = (SELECT max(round) FROM metrics)
ORDER BY ALL;
