-- No object that people were asked about because of what a network made of it was counted by a certificate.
SELECT format('round {} counted {} {}, which was chosen by {} and not drawn to calibrate', c.round, c.survey, c.object_id,
              string_agg(DISTINCT q.strategy, ', ' ORDER BY q.strategy))
FROM calibration AS c
JOIN asked_at() AS q ON q.survey = c.survey AND q.object_id = c.object_id AND q.round <= c.round
GROUP BY c.round, c.survey, c.object_id
HAVING NOT bool_or(coalesce(q.purpose, '') = 'calibration')
ORDER BY ALL
