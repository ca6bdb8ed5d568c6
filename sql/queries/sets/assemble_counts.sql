-- Galaxies by what they are for, survey and class, and how many of them have a good stamp.
SELECT part, survey, class, galaxies, with_stamp
FROM (
    SELECT part, survey, class, count(*) AS galaxies, count(*) FILTER (good) AS with_stamp
    FROM (
        SELECT c.split AS part, c.survey, coalesce(c.label, '') AS class, c.quality = 'ok' AS good
        FROM catalog AS c
        WHERE c.test_set IS NULL
          AND (c.split IN ('calibration', 'pool') OR (c.split IN ('train', 'validation') AND c.label IS NOT NULL))
        UNION ALL
        SELECT t.test_set, t.survey, coalesce(t.truth, ''), s.quality = 'ok'
        FROM test_sets AS t
        LEFT JOIN standing_stamps_at() AS s ON s.survey = t.survey AND s.object_id = t.object_id)
    GROUP BY ALL)
ORDER BY list_position(['train', 'validation', 'HP', 'FO', 'calibration', 'pool'], part), part, survey, class
