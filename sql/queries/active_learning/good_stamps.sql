-- Position and stamp of the objects in the table `considered` that have a good stamp.
SELECT o.survey, o.object_id, o.ra, o.dec, s.shard, s.row
FROM standing_objects_at() AS o
JOIN standing_stamps_at() AS s ON s.survey = o.survey AND s.object_id = o.object_id
SEMI JOIN temp.considered AS l ON l.survey = o.survey AND l.object_id = o.object_id
WHERE s.quality = 'ok'
ORDER BY o.survey, o.object_id
