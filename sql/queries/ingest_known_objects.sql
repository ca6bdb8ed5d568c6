-- Objects of the file that the catalogue has: from a weaker kind of file (then this one's position and measurements
-- replace its), and whether values differ. An empty cell is no statement about an object. `moved_arcsec` is how far an
-- image's stated position lies from the archive's.
CREATE TEMP TABLE known_objects AS
SELECT a._record, a.object_id, o.run AS object_run,
       origin_strength(o.origin) < $strength AS weaker,
       origin_strength(o.origin) = $strength AND (a.ra IS DISTINCT FROM o.ra OR a.dec IS DISTINCT FROM o.dec
           OR (a.mag_g IS NOT NULL AND a.mag_g IS DISTINCT FROM o.mag_g)
           OR (a.mag_r IS NOT NULL AND a.mag_r IS DISTINCT FROM o.mag_r)
           OR (a.mag_i IS NOT NULL AND a.mag_i IS DISTINCT FROM o.mag_i)
           OR (a.radius_arcsec IS NOT NULL AND a.radius_arcsec IS DISTINCT FROM o.radius_arcsec)) AS object_differs,
       CASE WHEN o.origin = 'images' AND o.ra IS NOT NULL THEN 3600 * degrees(2 * asin(least(1, sqrt(
           pow(sin(radians(a.dec - o.dec) / 2), 2)
           + cos(radians(a.dec)) * cos(radians(o.dec)) * pow(sin(radians(a.ra - o.ra) / 2), 2))))) END AS moved_arcsec
FROM accepted AS a
JOIN (SELECT * FROM standing_objects_at(2147483647) WHERE survey = $survey) AS o ON o.object_id = a.object_id
