-- Every object with what the firewall compares: position, and stamp where it is good. What has no stamp cannot be
-- trained on or promoted, so of a survey's millions only what is guarded and what has an image is looked at.
SELECT o.survey, o.object_id, o.ra, o.dec, t.test_set, coalesce(d.split = 'calibration', false) AS calibrates,
       CASE WHEN s.quality = 'ok' THEN s.shard END AS shard, s.row
FROM standing_objects_at(2147483647) AS o
LEFT JOIN standing_stamps_at(2147483647) AS s ON s.survey = o.survey AND s.object_id = o.object_id
LEFT JOIN standing_splits_at(2147483647) AS d ON d.survey = o.survey AND d.object_id = o.object_id
LEFT JOIN test_members_at(2147483647) AS t ON t.survey = o.survey AND t.object_id = o.object_id
WHERE t.test_set IS NOT NULL OR d.split = 'calibration' OR s.object_id IS NOT NULL
ORDER BY o.survey, o.object_id
