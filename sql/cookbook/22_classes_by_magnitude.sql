-- Classes in bins of magnitude
-- Empty where the survey's catalogue was not brought in, or nothing is scored.
SELECT survey, floor(2 * mag_r) / 2 AS mag_r_from, coalesce(label, predicted_label) AS class, count(*) AS objects
FROM catalog
WHERE mag_r IS NOT NULL AND coalesce(label, predicted_label) IS NOT NULL
GROUP BY ALL
ORDER BY ALL;
