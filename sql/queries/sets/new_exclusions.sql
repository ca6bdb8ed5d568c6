-- Exclusions not yet recorded, one for each object and rule: the nearest, or the most similar.
SELECT f.*
FROM found AS f
ANTI JOIN exclusions AS e ON e.survey = f.survey AND e.object_id = f.object_id AND e.rule = f.rule
QUALIFY row_number() OVER (
    PARTITION BY f.survey, f.object_id, f.rule
    ORDER BY f.separation_arcsec, f.similarity DESC, f.test_survey, f.test_object_id) = 1
ORDER BY f.survey, f.object_id, f.rule
