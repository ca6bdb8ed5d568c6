-- No test object was used for training.
SELECT format('round {} trained on {} {}, a member of {}', n.round, n.survey, n.object_id, t.test_set)
FROM training AS n JOIN test_sets AS t ON t.survey = n.survey AND t.object_id = n.object_id
WHERE t.round <= n.round
ORDER BY ALL
