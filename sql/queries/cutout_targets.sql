-- Objects of a survey that have a position and no readable stamp, of those chosen. Test objects are among them: an
-- image is for scoring too.
SELECT o.object_id, o.ra, o.dec, o.radius_arcsec
FROM standing_objects_at(2147483647) AS o
JOIN chosen AS c ON c.survey = o.survey AND c.object_id = o.object_id
ANTI JOIN (SELECT survey, object_id FROM standing_stamps_at(2147483647) WHERE shard IS NOT NULL) AS s
    ON s.survey = o.survey AND s.object_id = o.object_id
WHERE o.survey = $survey AND o.ra IS NOT NULL AND o.dec IS NOT NULL
ORDER BY o.object_id
LIMIT $n
