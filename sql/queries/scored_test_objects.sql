-- Members of the test sets and of the validation set with the posterior of a round's model, NULL where the
-- object could not be scored. The order breaks ties of confidence.
SELECT m.test_set, m.survey, m.object_id, m.truth, COLUMNS('^p_')
FROM (
    SELECT test_set, survey, object_id, truth FROM test_sets WHERE round <= $round
    UNION ALL
    SELECT 'validation', survey, object_id, label FROM training WHERE round = $round AND role = 'validation') AS m
LEFT JOIN predictions AS p ON p.survey = m.survey AND p.object_id = m.object_id AND p.model = $round
ORDER BY m.test_set, m.survey, m.object_id
