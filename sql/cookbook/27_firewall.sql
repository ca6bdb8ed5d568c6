-- Objects that the firewall excludes from training and promotion
-- By the protected test set and the rule. Empty before the first round, or if no object is close to a test object.
SELECT survey, test_set, rule, count(*) AS objects, round(max(separation_arcsec), 2) AS at_most_arcsec
FROM exclusions
GROUP BY ALL
ORDER BY ALL;
