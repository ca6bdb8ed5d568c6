-- Record the split of each object. Calibration stays calibration. An object with the stated split none is kept out of all
-- splits but calibration. The other objects of the target survey are the pool, also those with a default split of none.
INSERT INTO splits BY NAME
SELECT n.survey, n.object_id, n.split, $round AS round, $run AS run
FROM (
    SELECT $labelled AS survey, labelled_id AS object_id, 'calibration' AS split FROM drawn
    UNION ALL
    SELECT $target, target_id, 'calibration' FROM drawn
    UNION ALL
    SELECT $labelled, object_id, split FROM clean
    UNION ALL
    -- training galaxies of an earlier call whose labels the votes no longer give
    SELECT w.survey, w.object_id, 'none' FROM withdrawn AS w
    SEMI JOIN standing_splits_at() AS s
        ON s.survey = w.survey AND s.object_id = w.object_id AND s.split IN ('train', 'validation')
    WHERE w.survey = $labelled
    UNION ALL
    SELECT o.survey, o.object_id, 'pool'
    FROM standing_objects_at() AS o
    ANTI JOIN drawn AS d ON d.target_id = o.object_id
    ANTI JOIN test_sets AS t ON t.survey = o.survey AND t.object_id = o.object_id
    ANTI JOIN (SELECT survey, object_id FROM standing_splits_at()
               WHERE split <> 'none' OR coalesce(stated, false)) AS s
        ON s.survey = o.survey AND s.object_id = o.object_id
    WHERE o.survey = $target) AS n
LEFT JOIN standing_splits_at() AS s ON s.survey = n.survey AND s.object_id = n.object_id
WHERE n.split IS DISTINCT FROM s.split
  AND (n.split = 'calibration' OR s.split IS NULL
       OR (s.split <> 'calibration' AND NOT (s.split = 'none' AND coalesce(s.stated, false))))
ORDER BY n.survey, n.object_id
