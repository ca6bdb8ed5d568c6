INSERT INTO splits BY NAME
SELECT i.survey, i.object_id, i.split, $round AS round, $run AS run
FROM incoming AS i
ORDER BY i.survey, i.object_id
