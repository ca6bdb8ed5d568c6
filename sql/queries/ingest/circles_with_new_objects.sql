-- Tiles that were fetched and cut, by number, on which objects without a stamp may lie that were recorded later.
SELECT DISTINCT c.tile
FROM standing_objects_at() AS o
JOIN circles AS c
    ON o.dec BETWEEN c.dec - c.radius AND c.dec + c.radius
ANTI JOIN (SELECT object_id FROM standing_stamps_at() WHERE survey = $survey AND shard IS NOT NULL) AS s
    ON s.object_id = o.object_id
WHERE o.survey = $survey AND o.run > c.run AND abs((o.ra - c.ra + 540) % 360 - 180) <= c.half_ra
