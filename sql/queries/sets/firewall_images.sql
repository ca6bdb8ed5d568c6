-- Images of catalogued objects, which the firewall compares beside those objects: under the object's id, with the image's
-- own position and stamp, so that the object is excluded if either lies near a test galaxy. If a test set names the image,
-- it is listed under the id that the set names, so that the object is found near it.
WITH images AS (
    SELECT i.survey, CASE WHEN t.object_id IS NULL THEN a.of_object_id ELSE i.object_id END AS object_id,
           i.object_id AS stamp_of, i.ra, i.dec, greatest(i.radius_arcsec, c.radius_arcsec) AS radius_arcsec
    FROM objects AS i
    JOIN standing_aliases_at() AS a ON a.survey = i.survey AND a.object_id = i.object_id
    LEFT JOIN standing_objects_at() AS c ON c.survey = a.survey AND c.object_id = a.of_object_id
    LEFT JOIN (SELECT DISTINCT survey, object_id FROM test_sets) AS t
        ON t.survey = i.survey AND t.object_id = i.object_id
    WHERE i.origin = 'images')
SELECT o.survey, o.object_id, o.ra, o.dec, o.radius_arcsec, t.test_set, coalesce(d.split = 'calibration', false) AS calibrates,
       CASE WHEN s.quality = 'ok' THEN s.shard END AS shard, s.row, true AS is_image, o.stamp_of
FROM images AS o
LEFT JOIN standing_stamps_at() AS s ON s.survey = o.survey AND s.object_id = o.stamp_of
LEFT JOIN standing_splits_at() AS d ON d.survey = o.survey AND d.object_id = o.object_id
LEFT JOIN test_members_at() AS t ON t.survey = o.survey AND t.object_id = o.object_id
ORDER BY o.survey, o.object_id, o.stamp_of
