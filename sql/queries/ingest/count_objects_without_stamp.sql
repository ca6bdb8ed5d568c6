-- Count the objects of a survey that have a position and no readable image; only the wanted ones if a table lists some.
SELECT count(*)
FROM standing_objects_at() AS o
ANTI JOIN (SELECT object_id FROM stamps WHERE survey = $survey AND shard IS NOT NULL) AS s
    ON s.object_id = o.object_id
WHERE o.survey = $survey AND o.ra IS NOT NULL
  AND (NOT $listed OR o.object_id IN (SELECT object_id FROM wanted))
