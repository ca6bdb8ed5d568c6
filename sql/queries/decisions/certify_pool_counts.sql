-- Pool objects of a class at or above each threshold of its grid.
SELECT g.class, g.place, count(p.object_id) AS n
FROM grids AS g
LEFT JOIN certifiable AS p ON p.predicted_label = g.class AND p.calibrated_confidence >= g.threshold
GROUP BY g.class, g.place
ORDER BY g.class, g.place
