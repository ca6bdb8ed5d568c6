-- No object that was selected because of a model's prediction counts in a certificate.
SELECT format('round {} counted {} {}, which was selected by {} and not drawn for calibration', c.round, c.survey, c.object_id,
              string_agg(DISTINCT q.strategy, ', ' ORDER BY q.strategy))
FROM calibration AS c
JOIN asked_at() AS q ON q.survey = c.survey AND q.object_id = c.object_id AND q.round <= c.round
GROUP BY c.round, c.survey, c.object_id
HAVING NOT bool_or(coalesce(q.purpose, '') = 'calibration')
ORDER BY ALL
