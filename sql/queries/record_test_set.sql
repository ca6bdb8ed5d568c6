INSERT INTO test_sets BY NAME
SELECT $test_set AS test_set, $survey AS survey, i.object_id, i.truth, i.votes, $round AS round, $run AS run
FROM incoming AS i
ORDER BY i.object_id
