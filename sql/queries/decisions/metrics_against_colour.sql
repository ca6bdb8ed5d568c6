-- Accuracy where colour misleads (red spirals, blue ellipticals), beside the AUC that colour alone reaches; $rounds NULL
-- is the latest round that has them.
WITH against AS (
    SELECT * FROM metrics WHERE variable IN ('red spiral', 'blue elliptical') OR metric = 'colour_auc')
SELECT round, test_set, survey, CASE WHEN metric = 'colour_auc' THEN 'AUC of colour alone' ELSE variable END AS objects,
       coalesce(bin_low, bin_high) AS split_g_r, value, low, high, n
FROM against
WHERE CASE WHEN $rounds::INTEGER[] IS NULL THEN round = (SELECT max(round) FROM against)
           ELSE list_contains($rounds::INTEGER[], round) END
ORDER BY round, test_set, survey, objects DESC
