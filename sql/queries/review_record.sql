-- Objects that were selected and do not stand in the queue of their strategy yet, in the order of the selection.
INSERT INTO queue BY NAME
SELECT $strategy AS strategy, n.survey, n.object_id, n.place, $round AS round, $run AS run
FROM selected AS n
ANTI JOIN (SELECT survey, object_id FROM queue WHERE strategy = $strategy) AS q
    ON q.survey = n.survey AND q.object_id = n.object_id
ORDER BY n.place
