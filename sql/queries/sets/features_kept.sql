-- Objects whose features are kept: all test and calibration objects, and the first labelled training objects and pool
-- objects by a hash of their id, so that the samples are the same in every round. Pool objects that a certificate can
-- be about (target survey, domain in) come first.
WITH scorable AS (
    SELECT o.survey, o.object_id, t.test_set, d.split, l.object_id IS NOT NULL AS is_labelled,
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
SELECT survey, object_id
FROM scorable
WHERE test_set IS NOT NULL
   OR CASE split WHEN 'calibration' THEN true
                 WHEN 'train' THEN is_labelled AND draw <= $labelled_features
                 WHEN 'pool' THEN draw <= $pool_features END
