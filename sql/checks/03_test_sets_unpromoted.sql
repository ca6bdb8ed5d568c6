-- No test object, calibration object or object outside the target population has a promoted label.
-- Object by object.
-- A label promoted before the object became a test object stands until the next round decides.
WITH guarded AS (
    SELECT survey, object_id, round FROM test_sets
    UNION ALL SELECT survey, object_id, round FROM exclusions),
decided AS (SELECT round, run FROM steps WHERE step = 'decided')
SELECT format('{} {} has the promoted label {} (event {})', l.survey, l.object_id, l.label, l.event)
FROM standing_labels_at() AS l
JOIN catalog AS c ON c.survey = l.survey AND c.object_id = l.object_id
WHERE l.source = 'promoted'
  AND (c.split = 'calibration' OR c.domain <> 'in'
       OR EXISTS (SELECT 1 FROM guarded AS g
                  WHERE g.survey = l.survey AND g.object_id = l.object_id
                    AND (g.round <= l.label_round OR EXISTS (SELECT 1 FROM decided AS d WHERE d.round >= g.round))))
ORDER BY ALL
