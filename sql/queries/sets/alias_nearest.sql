-- The nearest catalogued object (b) of each image (a). A member of a test set keeps its id, since the set is frozen.
SELECT $survey AS survey, id_a AS object_id, id_b AS of_object_id, separation_arcsec
FROM candidates
WHERE id_a NOT IN (SELECT object_id FROM test_sets WHERE survey = $survey)
QUALIFY row_number() OVER (PARTITION BY id_a ORDER BY separation_arcsec, id_b) = 1
ORDER BY id_a
