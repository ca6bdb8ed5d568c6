-- Promotions of each round
-- Empty before the first round.
SELECT round, survey, label, count(*) AS promoted, round(min(confidence), 4) AS least_confidence,
       round(avg(confidence), 4) AS mean_confidence
FROM labels
WHERE source = 'promoted' AND kind = 'label'
GROUP BY ALL
ORDER BY ALL;
