-- The sky neighbourhoods of the candidates, and the first candidate in each.
SELECT CASE WHEN healpix < 0 THEN -1 ELSE healpix >> $shift END AS cell, min(rowid) AS first
FROM temp.candidates
WHERE healpix IS NOT NULL
GROUP BY ALL
ORDER BY cell
