-- Objects with a good stamp, and whether their features are kept: all test objects, and of the pool the
-- first by a hash of their name, so that the sample is the same in every round.
WITH scorable AS (
    SELECT o.survey, o.object_id, s.shard, s.row, t.test_set,
           row_number() OVER (PARTITION BY d.split, t.test_set IS NULL
                              ORDER BY md5(o.survey || ' ' || o.object_id)) AS draw, d.split
    FROM standing_objects_at(2147483647) AS o
    JOIN standing_stamps_at(2147483647) AS s ON s.survey = o.survey AND s.object_id = o.object_id
    LEFT JOIN standing_splits_at(2147483647) AS d ON d.survey = o.survey AND d.object_id = o.object_id
    LEFT JOIN test_members_at(2147483647) AS t ON t.survey = o.survey AND t.object_id = o.object_id
    WHERE s.quality = 'ok')
SELECT s.survey, s.object_id, s.shard, s.row,
       s.test_set IS NOT NULL OR (s.split = 'pool' AND s.draw <= $pool_features) AS keep_features
FROM scorable AS s
ANTI JOIN (SELECT survey, object_id FROM predictions WHERE model = $unscored_by) AS p
    ON p.survey = s.survey AND p.object_id = s.object_id
ORDER BY s.survey, s.object_id
