-- Exclusions to copy from images to the objects they show. An image that was declared a test object after it became an
-- alias makes its object a test object too.
SELECT a.survey, a.of_object_id AS object_id, x.rule, x.test_set, x.test_survey, x.test_object_id,
       x.separation_arcsec, x.radius_arcsec, x.similarity
FROM standing_aliases_at() AS a
JOIN (
    SELECT survey, object_id, rule, test_set, test_survey, test_object_id, separation_arcsec, radius_arcsec, similarity
    FROM exclusions
    UNION ALL
    SELECT survey, object_id, 'id', test_set, survey, object_id, NULL, NULL, NULL FROM test_sets) AS x
    ON x.survey = a.survey AND x.object_id = a.object_id
ANTI JOIN test_sets AS t ON t.survey = a.survey AND t.object_id = a.of_object_id
ANTI JOIN exclusions AS known
    ON known.survey = a.survey AND known.object_id = a.of_object_id AND known.rule = x.rule
QUALIFY row_number() OVER (
    PARTITION BY a.survey, a.of_object_id, x.rule
    ORDER BY a.separation_arcsec, x.separation_arcsec, x.similarity DESC, x.test_survey, x.test_object_id, x.test_set) = 1
ORDER BY a.survey, a.of_object_id, x.rule
