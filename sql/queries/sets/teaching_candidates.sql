-- Images that teach a round by the prediction of an earlier model: the most confident share of each predicted class, of
-- these so many by a hash. The calibration images are treated exactly as the pool's, whatever their true class.
WITH predicted AS (
    SELECT survey, object_id, predicted_label, predicted_confidence, list_value(*COLUMNS('^p_')) AS posterior
    FROM predictions
    WHERE model = $model AND round < $round AND survey = $target
      AND predicted_confidence <= 1),  -- false for a NaN
usable AS (
    SELECT c.survey, c.object_id, c.ra, c.dec, c.split, p.predicted_label, p.predicted_confidence, p.posterior
    FROM catalog_at($round) AS c
    JOIN predicted AS p ON p.survey = c.survey AND p.object_id = c.object_id
    WHERE c.split IN ('pool', 'calibration') AND c.domain = 'in' AND c.quality = 'ok'
      AND c.test_set IS NULL AND c.firewall IS NULL
      AND (c.split = 'calibration' OR coalesce(c.source, 'promoted') = 'promoted')),
surest AS (
    SELECT * FROM usable
    QUALIFY row_number() OVER (PARTITION BY predicted_label
                               ORDER BY predicted_confidence DESC, survey, object_id)
            <= ceil($surest * count(*) OVER (PARTITION BY predicted_label))),
drawn AS (
    SELECT * FROM surest
    ORDER BY uniform_draw('teaching', survey, object_id), survey, object_id
    LIMIT $images)
SELECT d.survey, d.object_id, d.ra, d.dec, o.healpix, d.predicted_label AS class, 'taught' AS source, d.split,
       s.shard, s.row, d.posterior
FROM drawn AS d
JOIN standing_objects_at($round) AS o ON o.survey = d.survey AND o.object_id = d.object_id
JOIN standing_stamps_at($round) AS s ON s.survey = d.survey AND s.object_id = d.object_id
ORDER BY d.survey, d.object_id
