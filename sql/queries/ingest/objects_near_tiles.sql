-- Objects of a survey in the bounding box, in right ascension and declination, of each tile's circle on the sky.
-- `stamped` objects have a readable image already. Of those, one cut from a tile that lacked some of its pixels may get
-- a better stamp from another tile: `cut_from` names that tile's files, and `edge_before` is the object's distance from
-- its edge. One scan serves all tiles: a folder holds few, a survey many objects.
SELECT c.tile, o.object_id, o.name, o.ra, o.dec, o.radius_arcsec, k.kron_radius, o.origin = 'images' AS from_images,
       s.object_id IS NOT NULL AS stamped, coalesce(s.run, 0) AS stamp_run,
       CASE WHEN s.rendering LIKE 'tiles/%' AND list_has_any(string_split(s.quality, ','), ['truncated', 'masked'])
            THEN s.file END AS cut_from,
       coalesce(try_cast(regexp_extract(s.reason, '; ([0-9.]+) arcsec inside its tile$', 1) AS DOUBLE), 0)
           AS edge_before
FROM standing_objects_at() AS o
JOIN circles AS c
    ON o.dec BETWEEN c.dec - c.radius AND c.dec + c.radius
LEFT JOIN (SELECT object_id, rendering, quality, file, reason, run
           FROM standing_stamps_at() WHERE survey = $survey AND shard IS NOT NULL) AS s
    ON s.object_id = o.object_id
LEFT JOIN (SELECT survey, object_id, kron_radius FROM des_sources) AS k
    ON k.survey = o.survey AND k.object_id = o.object_id
WHERE o.survey = $survey AND abs((o.ra - c.ra + 540) % 360 - 180) <= c.half_ra
ORDER BY c.tile, o.object_id
