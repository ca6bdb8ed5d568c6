-- The rounds that have a model, with when it was recorded and when the round's last step was.
SELECT m.model AS round, m.sha256,
       (SELECT max(epoch(s.recorded_at)) FROM steps AS s WHERE s.round = m.model AND s.step = 'trained') AS trained_at,
       (SELECT max(epoch(s.recorded_at)) FROM steps AS s WHERE s.round = m.model) AS ended_at,
       (SELECT max(run) FROM steps AS s WHERE s.round = m.model) AS run
FROM models AS m
ORDER BY m.model
