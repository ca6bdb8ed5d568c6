-- The matches of an object in other surveys, the nearest first: survey, id, separation.
SELECT survey_b AS survey, object_id_b AS object_id, separation_arcsec
FROM standing_matches_at() WHERE survey_a = $survey AND object_id_a = $object_id
UNION ALL
SELECT survey_a, object_id_a, separation_arcsec
FROM standing_matches_at() WHERE survey_b = $survey AND object_id_b = $object_id
ORDER BY separation_arcsec
