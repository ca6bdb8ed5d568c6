-- Number of test galaxies that a round has trained on, because their set was declared too late.
SELECT count(DISTINCT (t.survey, t.object_id))
FROM test_sets AS t
JOIN training AS n ON n.survey = t.survey AND n.object_id = t.object_id
WHERE t.truth IS NOT NULL AND t.round <= $at AND n.round <= $at
