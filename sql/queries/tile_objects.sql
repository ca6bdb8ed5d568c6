-- Objects of a survey in the bounding box, in right ascension and declination, of each tile's circle on the sky.
-- `stamped` ones have a readable image already. One scan for all tiles: a folder holds few, a survey many objects.
SELECT c.tile, o.object_id, o.ra, o.dec, o.radius_arcsec, k.kron_radius, s.object_id IS NOT NULL AS stamped
FROM standing_objects_at(2147483647) AS o
JOIN circles AS c
    ON o.dec BETWEEN c.dec - c.radius AND c.dec + c.radius
LEFT JOIN (SELECT DISTINCT object_id FROM stamps WHERE survey = $survey AND shard IS NOT NULL) AS s
    ON s.object_id = o.object_id
LEFT JOIN (SELECT survey, object_id, kron_radius FROM des_sources) AS k
    ON k.survey = o.survey AND k.object_id = o.object_id
WHERE o.survey = $survey AND abs((o.ra - c.ra + 540) % 360 - 180) <= c.half_ra
ORDER BY c.tile, o.object_id
