-- The candidates with their role, in their order, without those of a validation object's group or too near to one.
SELECT c.survey, c.object_id, c.shard, c.row, r.role, (list_position($classes, c.class) - 1)::BIGINT AS label,
       c.class, c.source, c.* EXCLUDE (survey, object_id, ra, dec, healpix, class, source, split, shard, row)
FROM temp.candidates AS c
JOIN (SELECT g.place,
             CASE WHEN g.validates THEN 'validation'
                  WHEN h.part IS NOT NULL OR n.place IS NOT NULL THEN NULL
                  WHEN c.source = 'taught' THEN 'teaching'
                  ELSE 'training' END AS role
      FROM temp.grouped AS g
      JOIN temp.candidates AS c ON c.rowid = g.place
      LEFT JOIN (SELECT DISTINCT part FROM temp.grouped WHERE validates) AS h ON h.part = g.part
      LEFT JOIN near_validation AS n ON n.place = g.place) AS r ON r.place = c.rowid
WHERE r.role IS NOT NULL
ORDER BY c.rowid
