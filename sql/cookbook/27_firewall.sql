-- What the firewall keeps out of training and promotion
-- By the test set that it protects and by what betrayed the object. Empty before the first round, or if nothing is near.
SELECT survey, test_set, rule, count(*) AS objects, round(max(separation_arcsec), 2) AS at_most_arcsec
FROM exclusions
GROUP BY ALL
ORDER BY ALL;
