-- Record the selected objects in an order that does not depend on why they were selected.
INSERT INTO queue BY NAME
SELECT $strategy AS strategy, $purpose AS purpose, c.survey, c.object_id, $probability AS probability, $model AS model,
       row_number() OVER (ORDER BY md5(concat_ws(':', 'place', $run, c.survey, c.object_id)), c.survey, c.object_id) AS place,
       $round AS round, $run AS run
FROM chosen AS c
ORDER BY place
