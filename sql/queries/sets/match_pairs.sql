-- The pairs of two surveys, in the columns of `matches`.
SELECT $survey_a AS survey_a, id_a AS object_id_a, $survey_b AS survey_b, id_b AS object_id_b, separation_arcsec
FROM pairs ORDER BY id_a
