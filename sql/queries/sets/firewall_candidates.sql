-- Objects that may be one of the references in the table `around`, as far as positions and sizes tell: within the larger
-- of the two radii of one, a thousandth wider, since the distance is computed again. Those without a position too if there
-- are pictures to compare them with, and with $all every object. The distance, which takes a dozen times longer than the
-- rest, is computed for pairs within the largest radius of each other in both coordinates alone.
WITH close AS MATERIALIZED (
    SELECT o.survey, o.object_id, o.ra, o.dec, least(coalesce($radii * o.radius_arcsec, 0), $largest) AS radius_arcsec,
           r.ra AS ra_r, r.dec AS dec_r, r.radius_arcsec AS radius_r
    FROM objects AS o
    JOIN temp.around AS r ON r.cell = o.healpix >> $shift
    WHERE abs(o.dec - r.dec) <= r.reach_dec
      AND (abs(o.ra - r.ra) <= r.reach_ra OR abs(o.ra - r.ra) >= 360 - r.reach_ra))
SELECT DISTINCT survey, object_id
FROM (SELECT survey, object_id FROM close
      WHERE sin(radians(dec - dec_r) / 2) ** 2
              + cos(radians(dec)) * cos(radians(dec_r)) * sin(radians(ra - ra_r) / 2) ** 2
            <= sin(radians(1.001 / 7200 * greatest(radius_r, radius_arcsec))) ** 2
      UNION ALL
      SELECT survey, object_id FROM objects WHERE $all OR ($unplaced AND ra IS NULL))
ORDER BY survey, object_id
