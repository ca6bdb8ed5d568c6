-- The latest round, its last step, and whether it ended its run because it changed nothing or was abandoned.
SELECT r.round, r.step,
       EXISTS (SELECT 1 FROM steps AS s
               WHERE s.round = r.round
                 AND (s.details ->> '$.abandoned' = 'true'
                      OR (s.step = 'decided' AND s.details ->> '$.promoted' = '{}' AND s.details ->> '$.retracted' = '0')))
FROM round_status AS r
ORDER BY r.round DESC
LIMIT 1
