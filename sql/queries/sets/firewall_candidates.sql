-- Objects that may be one of the references in the table `around`, as far as positions and sizes tell: within the larger
-- of the two radii of one, a thousandth wider, since the distance is computed again. Those without a position too if there
-- are pictures to compare them with, and with $all every object.
SELECT DISTINCT survey, object_id
FROM (SELECT o.survey, o.object_id
      FROM objects AS o
      JOIN temp.around AS r ON r.cell = o.healpix >> $shift
      WHERE sin(radians(o.dec - r.dec) / 2) ** 2
              + cos(radians(o.dec)) * cos(radians(r.dec)) * sin(radians(o.ra - r.ra) / 2) ** 2
            <= sin(radians(1.001 / 7200 * greatest(r.radius_arcsec, least(coalesce($radii * o.radius_arcsec, 0), $largest)))) ** 2
      UNION ALL
      SELECT survey, object_id FROM objects WHERE $all OR ($unplaced AND ra IS NULL))
ORDER BY survey, object_id
