-- Objects with a good stamp, and whether their features are kept: those of all test and calibration objects, and of the
-- first labelled training objects and pool objects by a hash of their id, so that the samples are the same in every
-- round. Pool objects that a certificate can be about (target survey, domain in) come first.
WITH scorable AS (
    SELECT o.survey, o.object_id, s.shard, s.row, t.test_set, d.split, l.object_id IS NOT NULL AS is_labelled,
           row_number() OVER (
               PARTITION BY d.split, t.test_set IS NULL, d.split = 'train' AND l.object_id IS NULL
               ORDER BY d.split = 'pool' AND (o.survey <> $target OR coalesce(w.domain, o.domain, 'in') <> 'in'),
                        md5(o.survey || ' ' || o.object_id)) AS draw
    FROM standing_objects_at() AS o
    JOIN standing_stamps_at() AS s ON s.survey = o.survey AND s.object_id = o.object_id
    LEFT JOIN standing_splits_at() AS d ON d.survey = o.survey AND d.object_id = o.object_id
    LEFT JOIN standing_domains_at() AS w ON w.survey = o.survey AND w.object_id = o.object_id
    LEFT JOIN standing_labels_at() AS l ON l.survey = o.survey AND l.object_id = o.object_id
    LEFT JOIN test_members_at() AS t ON t.survey = o.survey AND t.object_id = o.object_id
    WHERE s.quality = 'ok')
SELECT s.survey, s.object_id, s.shard, s.row,
       s.test_set IS NOT NULL
       OR coalesce(CASE s.split WHEN 'calibration' THEN true
                                WHEN 'train' THEN s.is_labelled AND s.draw <= $labelled_features
                                WHEN 'pool' THEN s.draw <= $pool_features END, false) AS keep_features
FROM scorable AS s
ANTI JOIN (SELECT survey, object_id FROM predictions WHERE model = $unscored_by) AS p
    ON p.survey = s.survey AND p.object_id = s.object_id
ORDER BY s.survey, s.object_id
