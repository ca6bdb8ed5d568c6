-- Purity and completeness of each class in bins of one variable; $rounds NULL is the latest round that has them.
WITH bins AS (SELECT * FROM metrics WHERE variable = $variable AND metric IN ('purity', 'completeness'))
SELECT round, test_set, survey, class, bin_low, bin_high,
       any_value(value) FILTER (metric = 'purity') AS purity,
       any_value(low) FILTER (metric = 'purity') AS purity_low,
       any_value(high) FILTER (metric = 'purity') AS purity_high,
       any_value(n) FILTER (metric = 'purity') AS n_predicted,
       any_value(value) FILTER (metric = 'completeness') AS completeness,
       any_value(low) FILTER (metric = 'completeness') AS completeness_low,
       any_value(high) FILTER (metric = 'completeness') AS completeness_high,
       any_value(n) FILTER (metric = 'completeness') AS n_true
FROM bins
WHERE CASE WHEN $rounds::INTEGER[] IS NULL THEN round = (SELECT max(round) FROM bins)
           ELSE list_contains($rounds::INTEGER[], round) END
GROUP BY round, test_set, survey, class, bin_low, bin_high
ORDER BY round, test_set, survey, class, bin_low
