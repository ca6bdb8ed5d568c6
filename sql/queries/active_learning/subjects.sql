-- Good stamps of the objects that are looked at, by the ids under which they are catalogued.
SELECT o.survey, o.object_id, o.ra, o.dec, s.shard, s.row
FROM standing_objects_at() AS o
JOIN standing_stamps_at() AS s ON s.survey = o.survey AND s.object_id = o.object_id
SEMI JOIN temp.looked_at AS l ON l.survey = o.survey AND l.object_id = o.object_id
WHERE s.quality = 'ok'
ORDER BY o.survey, o.object_id
