-- Members of a test set that a round has trained on: none, unless the set was declared too late.
SELECT DISTINCT t.survey, t.object_id, n.round
FROM test_sets AS t
JOIN training AS n ON n.survey = t.survey AND n.object_id = t.object_id
WHERE t.test_set = $test_set OR $test_set IS NULL
ORDER BY ALL
