-- Every object with what the firewall compares: position, and stamp where it is good.
SELECT o.survey, o.object_id, o.ra, o.dec, t.test_set,
       CASE WHEN s.quality = 'ok' THEN s.shard END AS shard, s.row
FROM standing_objects_at(2147483647) AS o
LEFT JOIN standing_stamps_at(2147483647) AS s ON s.survey = o.survey AND s.object_id = o.object_id
LEFT JOIN test_members_at(2147483647) AS t ON t.survey = o.survey AND t.object_id = o.object_id
ORDER BY o.survey, o.object_id
