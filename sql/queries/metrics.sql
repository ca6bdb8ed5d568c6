-- One line a round, test set and survey: what people compare first.
SELECT round, test_set, survey,
       any_value(n) FILTER (metric = 'scored') AS n,
       any_value(value) FILTER (metric = 'unscorable') AS unscorable,
       any_value(value) FILTER (metric = 'accuracy' AND coverage = 1) AS accuracy,
       any_value(low) FILTER (metric = 'accuracy' AND coverage = 1) AS low,
       any_value(high) FILTER (metric = 'accuracy' AND coverage = 1) AS high,
       any_value(value) FILTER (metric = 'accuracy' AND coverage = 0.5) AS accuracy_surest_half,
       avg(coalesce(value, 0)) FILTER (metric = 'precision' AND coverage = 1) AS precision,
       avg(coalesce(value, 0)) FILTER (metric = 'recall' AND coverage = 1) AS recall,
       avg(value) FILTER (metric = 'f1' AND coverage = 1) AS f1,
       avg(value) FILTER (metric = 'auc' AND coverage = 1) AS auc
FROM metrics
WHERE ($round IS NULL OR round = $round)
GROUP BY round, test_set, survey
ORDER BY test_set, survey, round
