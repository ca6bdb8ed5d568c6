-- Of the images that may teach, the most confident share of each predicted class, and of these so many by a hash.
WITH surest AS (
    SELECT * FROM temp.teachable
    QUALIFY row_number() OVER (PARTITION BY predicted_label
                               ORDER BY predicted_confidence DESC, survey, object_id)
            <= ceil($surest * count(*) OVER (PARTITION BY predicted_label)))
SELECT * FROM surest
ORDER BY uniform_draw('teaching', survey, object_id), survey, object_id
LIMIT $images
