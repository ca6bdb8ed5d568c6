-- One row per round: training sets, epochs and loss, promotions, and its last step.
WITH learned AS (
    SELECT round, count(*) FILTER (role = 'training') AS training, count(*) FILTER (role = 'validation') AS validation,
           count(*) FILTER (role = 'training' AND source = 'promoted') AS promoted_before,
           count(*) FILTER (role = 'teaching') AS taught
    FROM training WHERE round <= $at GROUP BY round),
scored AS (SELECT model, sum(scored)::BIGINT AS scored FROM scorings WHERE round <= $at GROUP BY model)
SELECT s.round, s.recipe, s.seed, s.ranks, s.step, l.training, l.promoted_before, l.taught, l.validation, m.epochs,
       m.validation_loss, c.scored, d.details ->> '$.promoted' AS promoted,
       CAST(d.details ->> '$.retracted' AS BIGINT) AS retracted, s.last_step_at,
       s.refused
FROM round_status AS s
LEFT JOIN learned AS l ON l.round = s.round
LEFT JOIN models AS m ON m.model = s.round
LEFT JOIN scored AS c ON c.model = s.round
LEFT JOIN (SELECT round, details FROM steps WHERE step = 'decided') AS d ON d.round = s.round
WHERE s.round <= $at
ORDER BY s.round
