-- Counts of a survey's calibration objects: all; with an image; with a true class; of these the certifying ones that no
-- earlier round has taken; and those that an earlier round's model has not scored, so that this is unknown.
WITH cuts AS (SELECT DISTINCT round FROM taken_cuts_at(now_round(), $target, promoted_train := $promoted_train)),
     known AS (SELECT * FROM calibration_at() WHERE survey = $target AND truth IS NOT NULL),
     scored AS (SELECT survey, object_id, count(DISTINCT model) AS n FROM predictions
                WHERE survey = $target AND model IN (SELECT round FROM cuts) GROUP BY ALL)
SELECT (SELECT count(*) FROM standing_splits_at() WHERE survey = $target AND split = 'calibration') AS drawn,
       (SELECT count(*) FROM catalog WHERE survey = $target AND split = 'calibration' AND quality = 'ok') AS with_image,
       count(*) AS with_truth,
       count(*) FILTER (half = 'certify' AND ((SELECT count(*) FROM cuts) = 0
            OR (survey, object_id) IN (SELECT (survey, object_id) FROM left_at(now_round(), $target, promoted_train := $promoted_train)))) AS certifying,
       count(*) FILTER (coalesce(s.n, 0) < (SELECT count(*) FROM cuts)) AS unscored,
       (SELECT list(round ORDER BY round) FROM cuts) AS rounds
FROM known LEFT JOIN scored AS s USING (survey, object_id)
