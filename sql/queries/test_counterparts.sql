-- Objects matched with a test object in another survey, from either side of the match.
SELECT m.survey, m.object_id, 'counterpart' AS rule, t.test_set, t.survey AS test_survey,
       t.object_id AS test_object_id, m.separation_arcsec, NULL AS similarity
FROM (
    SELECT survey_a AS survey, object_id_a AS object_id, survey_b AS other, object_id_b AS other_id,
           separation_arcsec FROM matches
    UNION ALL
    SELECT survey_b, object_id_b, survey_a, object_id_a, separation_arcsec FROM matches) AS m
JOIN test_members_at(2147483647) AS t ON t.survey = m.other AND t.object_id = m.other_id
ANTI JOIN test_sets AS own ON own.survey = m.survey AND own.object_id = m.object_id
ORDER BY ALL
