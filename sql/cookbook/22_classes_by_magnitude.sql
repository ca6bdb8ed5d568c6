-- Classes in bins of magnitude
-- Empty without magnitudes from the survey's catalogue, or without scores.
SELECT survey, floor(2 * mag_r) / 2 AS mag_r_from, coalesce(label, predicted_label) AS class, count(*) AS objects
FROM catalog
WHERE mag_r IS NOT NULL AND coalesce(label, predicted_label) IS NOT NULL
GROUP BY ALL
ORDER BY ALL;
