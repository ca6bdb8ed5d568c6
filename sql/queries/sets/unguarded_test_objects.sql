-- The number of test objects with neither position nor good image, so that nothing can be compared with them.
SELECT count(*)
FROM test_members_at() AS t
LEFT JOIN standing_objects_at() AS o ON o.survey = t.survey AND o.object_id = t.object_id
LEFT JOIN standing_stamps_at() AS s ON s.survey = t.survey AND s.object_id = t.object_id
WHERE o.ra IS NULL AND coalesce(s.quality, '') <> 'ok'
