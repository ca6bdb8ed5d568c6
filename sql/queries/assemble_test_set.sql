-- Both surveys' versions of the members of a test set.
INSERT INTO test_sets BY NAME
SELECT $test_set AS test_set, survey, object_id, truth, votes, raw_majority, $round AS round, $run AS run
FROM (
    SELECT $labelled AS survey, labelled_id AS object_id, truth, votes, raw_majority FROM members
    UNION ALL
    SELECT $target, target_id, truth, votes, raw_majority FROM members)
ORDER BY survey, object_id
