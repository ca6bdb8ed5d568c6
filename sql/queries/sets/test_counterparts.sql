-- Objects matched with a test or calibration object in another survey, from either side of the match. A calibration
-- object may be matched with another one: both surveys' versions of a galaxy calibrate.
WITH calibration AS (
    SELECT survey, object_id FROM standing_splits_at() WHERE split = 'calibration'),
guarded AS (
    SELECT survey, object_id, test_set FROM test_members_at()
    UNION ALL
    SELECT survey, object_id, 'calibration'
    FROM calibration AS c ANTI JOIN test_sets AS t ON t.survey = c.survey AND t.object_id = c.object_id)
SELECT m.survey, m.object_id, 'counterpart' AS rule, t.test_set, t.survey AS test_survey,
       t.object_id AS test_object_id, m.separation_arcsec, NULL AS radius_arcsec, NULL AS similarity
FROM (
    SELECT survey_a AS survey, object_id_a AS object_id, survey_b AS other, object_id_b AS other_id,
           separation_arcsec FROM matches
    UNION ALL
    SELECT survey_b, object_id_b, survey_a, object_id_a, separation_arcsec FROM matches) AS m
JOIN guarded AS t ON t.survey = m.other AND t.object_id = m.other_id
ANTI JOIN test_sets AS own ON own.survey = m.survey AND own.object_id = m.object_id
ANTI JOIN calibration AS c ON c.survey = m.survey AND c.object_id = m.object_id AND t.test_set = 'calibration'
ORDER BY ALL
