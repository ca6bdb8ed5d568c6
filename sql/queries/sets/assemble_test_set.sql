-- Record the members of a test set under both surveys' ids, unless that survey's version is written already.
INSERT INTO test_sets BY NAME
SELECT $test_set AS test_set, survey, object_id, truth, votes, raw_majority, $round AS round, $run AS run
FROM (
    SELECT $labelled AS survey, labelled_id AS object_id, truth, votes, raw_majority FROM members
    UNION ALL
    SELECT $target, target_id, truth, votes, raw_majority FROM members)
WHERE survey NOT IN (SELECT survey FROM test_sets WHERE test_set = $test_set)
ORDER BY survey, object_id
