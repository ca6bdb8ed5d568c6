-- Training sets of each round
SELECT round, role, label, source, count(*) AS objects
FROM training
GROUP BY ALL
ORDER BY ALL;
