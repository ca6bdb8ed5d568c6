-- Labels given and retracted in each round after $first, up to $last.
SELECT round, kind AS event, source, label, count(*) AS objects
FROM labels
WHERE round > $first AND round <= $last
GROUP BY ALL
ORDER BY ALL
