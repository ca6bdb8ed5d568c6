-- The objects trained on in a round, or with $round NULL those that would be trained on now, by rendering and class.
WITH trained AS (
    SELECT t.survey, t.object_id, t.label AS class
    FROM training AS t
    WHERE t.round = $round AND t.role = 'training'
    UNION ALL
    SELECT c.survey, c.object_id, c.label AS class
    FROM catalog AS c
    WHERE $round IS NULL AND c.label IS NOT NULL AND c.test_set IS NULL AND c.firewall IS NULL
      AND c.domain = 'in' AND c.quality = 'ok' AND c.split IN ('train', 'pool'))
SELECT s.rendering, t.class, count(*) AS objects
FROM trained AS t
JOIN standing_stamps_at(coalesce($round, now_round())) AS s ON s.survey = t.survey AND s.object_id = t.object_id
GROUP BY ALL
ORDER BY ALL
