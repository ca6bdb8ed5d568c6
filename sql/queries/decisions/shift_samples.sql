-- The samples that the shift meters compare, among the objects whose features were kept: labelled galaxies of the
-- training split, the calibration galaxies that a certificate may count, and the pool objects that it may promote.
WITH samples AS (
    SELECT 'labelled' AS sample, survey, object_id
    FROM catalog_at($round)
    WHERE split = 'train' AND label IS NOT NULL AND domain = 'in' AND test_set IS NULL AND firewall IS NULL
    UNION ALL
    SELECT 'calibration', c.survey, c.object_id
    FROM calibration_at($round) AS c
    SEMI JOIN calibration_at() AS n ON n.survey = c.survey AND n.object_id = c.object_id
    SEMI JOIN left_at($round, $target) AS t ON t.survey = c.survey AND t.object_id = c.object_id
    WHERE c.survey = $target AND c.truth IS NOT NULL
    UNION ALL
    SELECT 'pool', survey, object_id
    FROM certifiable_at($round, $target))
SELECT s.sample, s.survey, s.object_id, p.predicted_label
FROM samples AS s
SEMI JOIN temp.kept AS k ON k.survey = s.survey AND k.object_id = s.object_id
JOIN predictions AS p ON p.survey = s.survey AND p.object_id = s.object_id AND p.model = $round
ORDER BY s.sample, s.survey, s.object_id
