-- Objects that may be one of the references in the table `around`, as far as positions and sizes tell: within the larger
-- of the two radii of one, a thousandth wider, since the distance is computed again. Those without a position too if there
-- are pictures to compare them with, and with $all every object. Distances are chords of the unit sphere, so that angles
-- are computed once an object and not once a pair.
SELECT DISTINCT survey, object_id
FROM (SELECT o.survey, o.object_id
      FROM (SELECT survey, object_id, healpix >> $shift AS cell, sin(radians(dec)) AS z,
                   cos(radians(dec)) * cos(radians(ra)) AS x, cos(radians(dec)) * sin(radians(ra)) AS y,
                   least(coalesce($radii * radius_arcsec, 0), $largest) AS radius_arcsec
            FROM objects WHERE healpix >= 0) AS o
      JOIN temp.around AS r ON r.cell = o.cell
      WHERE (o.x - r.x) * (o.x - r.x) + (o.y - r.y) * (o.y - r.y) + (o.z - r.z) * (o.z - r.z)
            <= pow(1.001 * radians(greatest(r.radius_arcsec, o.radius_arcsec) / 3600), 2)
      UNION ALL
      SELECT survey, object_id FROM objects WHERE $all OR ($unplaced AND ra IS NULL))
ORDER BY survey, object_id
