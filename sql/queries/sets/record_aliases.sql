-- Record images as aliases of the objects they show.
INSERT INTO aliases BY NAME
SELECT f.*, $round AS round, $run AS run
FROM found AS f
ANTI JOIN aliases AS a ON a.survey = f.survey AND a.object_id = f.object_id
ORDER BY f.survey, f.object_id
