-- The confusion of the objects with both classes, in bins of one variable: what is below the first of the inner edges is
-- in bin 0.
SELECT len(list_filter($inner::DOUBLE[], lambda edge: {variable} >= edge)) AS bin, ours, theirs, count(*) AS objects
FROM compared
WHERE ours IS NOT NULL AND theirs IS NOT NULL AND {variable} IS NOT NULL
GROUP BY ALL
