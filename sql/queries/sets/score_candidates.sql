-- Objects with a good stamp, and whether their features are kept.
SELECT o.survey, o.object_id, s.shard, s.row, k.object_id IS NOT NULL AS keep_features
FROM standing_objects_at() AS o
JOIN standing_stamps_at() AS s ON s.survey = o.survey AND s.object_id = o.object_id
LEFT JOIN temp.features_kept AS k ON k.survey = o.survey AND k.object_id = o.object_id
ANTI JOIN (SELECT survey, object_id FROM predictions WHERE model = $unscored_by) AS p
    ON p.survey = o.survey AND p.object_id = o.object_id
WHERE s.quality = 'ok'
ORDER BY o.survey, o.object_id
