-- The number of members of a test set that are in the catalogue.
SELECT count(*)
FROM test_sets AS t SEMI JOIN objects AS o ON o.survey = t.survey AND o.object_id = t.object_id
WHERE t.test_set = $test_set AND t.survey = $survey
