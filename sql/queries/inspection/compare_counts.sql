-- Confusion of the objects with both classes, in bins of one variable; values below the first inner edge are in bin 0.
SELECT len(list_filter($inner::DOUBLE[], lambda edge: {variable} >= edge)) AS bin, ours, theirs, count(*) AS objects
FROM compared
WHERE ours IS NOT NULL AND theirs IS NOT NULL AND {variable} IS NOT NULL
GROUP BY ALL
