-- What each round was trained on
SELECT round, role, label, source, count(*) AS objects
FROM training
GROUP BY ALL
ORDER BY ALL;
