-- Record the members of a test set. If a member is an alias, the object it shows is the member.
INSERT INTO test_sets BY NAME
SELECT $test_set AS test_set, $survey AS survey, coalesce(a.of_object_id, i.object_id) AS object_id, i.truth, i.votes,
       $round AS round, $run AS run
FROM incoming AS i
LEFT JOIN standing_aliases_at() AS a ON a.survey = $survey AND a.object_id = i.object_id
QUALIFY row_number() OVER (
    PARTITION BY coalesce(a.of_object_id, i.object_id) ORDER BY a.of_object_id IS NOT NULL, i.object_id) = 1
ORDER BY 3
