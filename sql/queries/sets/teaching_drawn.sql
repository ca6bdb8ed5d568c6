-- Of the images that may teach, the most confident share of each predicted class. If they are to be balanced, the surest
-- of each class, as many as of the class with fewest. Of these, so many of each class by a hash, and so many in all.
WITH surest AS (
    SELECT * FROM temp.teachable
    WHERE predicted_confidence >= $least
    QUALIFY row_number() OVER (PARTITION BY predicted_label
                               ORDER BY predicted_confidence DESC, survey, object_id)
            <= ceil($surest * count(*) OVER (PARTITION BY predicted_label))),
-- the smallest of the classes, if there are as many as there should be
fewest AS (SELECT CASE WHEN count(*) = $classes THEN min(n) ELSE 0 END AS n
           FROM (SELECT count(*) AS n FROM surest GROUP BY predicted_label)),
alike AS (
    SELECT s.* FROM surest AS s, fewest AS f
    QUALIFY NOT $balanced OR row_number() OVER (PARTITION BY predicted_label
                                                ORDER BY predicted_confidence DESC, survey, object_id) <= f.n),
drawn AS (
    SELECT *, row_number() OVER (PARTITION BY predicted_label
                                 ORDER BY uniform_draw('teaching', survey, object_id), survey, object_id) AS place
    FROM alike)
SELECT * EXCLUDE (place) FROM drawn
WHERE NOT $balanced OR place <= $images // $classes
ORDER BY uniform_draw('teaching', survey, object_id), survey, object_id
LIMIT $images
