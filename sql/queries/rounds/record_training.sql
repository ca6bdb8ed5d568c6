-- Record the objects that a round trains on and validates on.
INSERT INTO training BY NAME
SELECT $round AS round, i.survey, i.object_id, i.role, i.class AS label, i.source, $run AS run
FROM incoming AS i
ORDER BY i.survey, i.object_id
