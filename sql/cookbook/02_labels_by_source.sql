-- Standing labels, by class and source
-- Empty before the first label or promotion.
SELECT survey, label, source, count(*) AS objects, round(avg(confidence), 3) AS mean_confidence
FROM catalog
WHERE label IS NOT NULL
GROUP BY ALL
ORDER BY ALL;
