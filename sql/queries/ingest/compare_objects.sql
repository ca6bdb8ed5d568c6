-- Objects of the file that the catalogue has: whether they came from a weaker kind of file (then this file's position
-- and measurements replace theirs), and whether values differ. Only magnitudes whose columns the file has are compared;
-- an empty cell there means that nothing was measured. `moved_arcsec` is the distance of an image's stated position
-- from the archive's.
CREATE TEMP TABLE known_objects AS
SELECT a._record, a.object_id, o.run AS object_run, a.radius_arcsec AS file_radius, o.radius_arcsec AS standing_radius,
       origin_strength(o.origin) < $strength AS weaker, origin_strength(o.origin) = $strength AS as_strong,
       a.ra IS DISTINCT FROM o.ra OR a.dec IS DISTINCT FROM o.dec{differs} AS value_differs,
       CASE WHEN o.origin = 'images' AND o.ra IS NOT NULL THEN 3600 * degrees(2 * asin(least(1, sqrt(
           pow(sin(radians(a.dec - o.dec) / 2), 2)
           + cos(radians(a.dec)) * cos(radians(o.dec)) * pow(sin(radians(a.ra - o.ra) / 2), 2))))) END AS moved_arcsec
FROM accepted AS a
JOIN (SELECT * FROM standing_objects WHERE survey = $survey) AS o ON o.object_id = a.object_id
