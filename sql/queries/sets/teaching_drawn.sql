-- Of the images that may teach, the most confident share of each predicted class. If they are to be balanced, the surest
-- of each class, as many as of the class with fewest. Of these, so many of each class by a hash, and so many in all.
-- Images are counted by steps of confidence, so that only those of the step where a class's share ends are sorted.
WITH steps AS (
    SELECT predicted_label, confidence_step(predicted_confidence) AS step, count(*) AS n
    FROM temp.teachable WHERE predicted_confidence >= $least GROUP BY ALL),
shares AS (SELECT predicted_label, ceil($surest * sum(n)) AS n FROM steps GROUP BY predicted_label),
-- the smallest of the classes, if there are as many as there should be
fewest AS (SELECT CASE WHEN count(*) = $classes THEN min(n) ELSE 0 END AS n FROM shares),
cuts AS (
    SELECT s.predicted_label, s.step, s.n,
           CASE WHEN $balanced THEN f.n ELSE h.n END
               - (sum(s.n) OVER (PARTITION BY s.predicted_label ORDER BY s.step DESC) - s.n) AS taken
    FROM steps AS s JOIN shares AS h ON h.predicted_label = s.predicted_label CROSS JOIN fewest AS f),
alike AS NOT MATERIALIZED (
    SELECT t.* FROM temp.teachable AS t
    JOIN cuts AS k ON k.predicted_label = t.predicted_label AND k.step = confidence_step(t.predicted_confidence)
    WHERE t.predicted_confidence >= $least AND k.taken >= k.n
    UNION ALL
    SELECT * EXCLUDE (taken) FROM (
        SELECT t.*, k.taken FROM temp.teachable AS t
        JOIN cuts AS k ON k.predicted_label = t.predicted_label AND k.step = confidence_step(t.predicted_confidence)
        WHERE t.predicted_confidence >= $least AND k.taken > 0 AND k.taken < k.n
        QUALIFY row_number() OVER (PARTITION BY t.predicted_label
                                   ORDER BY t.predicted_confidence DESC, t.survey, t.object_id) <= k.taken)),
drawn AS (
    SELECT * FROM alike WHERE NOT $balanced
    UNION ALL
    SELECT * FROM alike WHERE $balanced
    QUALIFY row_number() OVER (PARTITION BY predicted_label
                               ORDER BY uniform_draw('teaching', survey, object_id), survey, object_id)
            <= $images // $classes)
SELECT * FROM drawn
ORDER BY uniform_draw('teaching', survey, object_id), survey, object_id
LIMIT $images
