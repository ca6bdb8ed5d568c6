-- Median colour g - r, mag, of the ellipticals and spirals by people's labels that a round was trained on, as each survey
-- measured them or their matched counterparts. Photometric systems differ, so each survey has its own medians.
WITH trained AS (
    SELECT survey, object_id, label FROM training
    WHERE round = $round AND role = 'training' AND source <> 'promoted'),
named AS (
    SELECT survey, object_id, label FROM trained
    UNION  -- UNION, so that a galaxy trained on in both surveys counts once in each
    SELECT m.survey_b, m.object_id_b, t.label
    FROM trained AS t
    JOIN standing_matches_at($round) AS m ON m.survey_a = t.survey AND m.object_id_a = t.object_id
    UNION
    SELECT m.survey_a, m.object_id_a, t.label
    FROM trained AS t
    JOIN standing_matches_at($round) AS m ON m.survey_b = t.survey AND m.object_id_b = t.object_id)
SELECT o.survey AS measured_by, n.label, median(round(o.mag_g::DOUBLE - o.mag_r::DOUBLE, 4)) AS g_r
FROM named AS n
JOIN standing_objects_at($round) AS o ON o.survey = n.survey AND o.object_id = n.object_id
WHERE o.mag_g IS NOT NULL AND o.mag_r IS NOT NULL
GROUP BY o.survey, n.label
