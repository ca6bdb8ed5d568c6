-- The most confident errors on the test sets
-- Look at these: a blend, a wrong vote, or a weakness of the network. Empty if nothing is wrong.
SELECT t.test_set, t.survey, t.object_id, t.truth, c.predicted_label, round(c.predicted_confidence, 3) AS confidence,
       round(t.votes, 2) AS votes, s.file
FROM test_sets AS t
JOIN catalog AS c ON c.survey = t.survey AND c.object_id = t.object_id
JOIN standing_stamps_at() AS s ON s.survey = t.survey AND s.object_id = t.object_id
WHERE c.predicted_label <> t.truth
ORDER BY c.predicted_confidence DESC, t.survey, t.object_id
LIMIT 10;
