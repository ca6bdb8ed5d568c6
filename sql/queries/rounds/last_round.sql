-- The latest round, its last step, and whether it ended its run because it changed nothing or was abandoned.
SELECT r.round, r.step,
       EXISTS (SELECT 1 FROM steps AS s
               WHERE s.round = r.round
                 AND (s.details ->> '$.abandoned' = 'true'
                      OR (s.step = 'decided' AND s.details ->> '$.promoted' = '{}' AND s.details ->> '$.retracted' = '0'
                          AND p.plan ->> '$.recipe.teaching' IS NULL
                          AND coalesce(p.plan ->> '$.recipe.speaking.model', 'round') = 'round')))
FROM round_status AS r
JOIN rounds AS p ON p.round = r.round
ORDER BY r.round DESC
LIMIT 1
