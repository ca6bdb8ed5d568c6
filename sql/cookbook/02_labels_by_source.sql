-- Standing labels, by class and by who gave them
-- Empty as long as nobody has labelled anything and no round has promoted.
SELECT survey, label, source, count(*) AS objects, round(avg(confidence), 3) AS mean_confidence
FROM catalog
WHERE label IS NOT NULL
GROUP BY ALL
ORDER BY ALL;
