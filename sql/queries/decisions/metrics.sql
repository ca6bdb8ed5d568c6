-- The main metrics, one row for each round, test set and survey. $rounds NULL is every round.
SELECT round, test_set, survey,
       coalesce(any_value(n) FILTER (metric = 'scored'), any_value(n) FILTER (metric = 'accuracy' AND coverage = 1)) AS n,
       any_value(value) FILTER (metric = 'unscorable') AS unscorable,
       any_value(value) FILTER (metric = 'accuracy' AND coverage = 1) AS accuracy,
       any_value(low) FILTER (metric = 'accuracy' AND coverage = 1) AS low,
       any_value(high) FILTER (metric = 'accuracy' AND coverage = 1) AS high,
       any_value(value) FILTER (metric = 'accuracy' AND coverage = 0.5) AS accuracy_surest_half,
       any_value(value) FILTER (metric = 'aurc') AS aurc,
       avg(coalesce(value, 0)) FILTER (metric = 'precision' AND coverage = 1) AS precision,
       avg(coalesce(value, 0)) FILTER (metric = 'recall' AND coverage = 1) AS recall,
       avg(value) FILTER (metric = 'f1' AND coverage = 1) AS f1,
       avg(value) FILTER (metric = 'auc' AND coverage = 1) AS auc
FROM metrics
WHERE variable IS NULL AND truth = 'debiased'
  AND ($rounds::INTEGER[] IS NULL OR list_contains($rounds::INTEGER[], round))
GROUP BY round, test_set, survey
ORDER BY test_set, survey, round
