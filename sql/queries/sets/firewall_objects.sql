-- Catalogued objects that the firewall compares, with position, size and good stamp. An object without a stamp cannot be
-- trained on or promoted, so only test and calibration objects and objects with an image are read.
SELECT o.survey, o.object_id, o.ra, o.dec, o.radius_arcsec, t.test_set, coalesce(d.split = 'calibration', false) AS calibrates,
       CASE WHEN s.quality = 'ok' THEN s.shard END AS shard, s.row, false AS is_image, o.object_id AS stamp_of
FROM standing_objects_at() AS o
LEFT JOIN standing_stamps_at() AS s ON s.survey = o.survey AND s.object_id = o.object_id
LEFT JOIN standing_splits_at() AS d ON d.survey = o.survey AND d.object_id = o.object_id
LEFT JOIN test_members_at() AS t ON t.survey = o.survey AND t.object_id = o.object_id
WHERE t.test_set IS NOT NULL OR d.split = 'calibration' OR s.object_id IS NOT NULL
ORDER BY o.survey, o.object_id
