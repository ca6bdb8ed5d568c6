-- Values of the other catalogue's column of the class, the most frequent first.
SELECT code, value, count(*) AS n
FROM theirs
WHERE code IS NOT NULL OR value IS NOT NULL
GROUP BY code, value
ORDER BY n DESC, code, value
