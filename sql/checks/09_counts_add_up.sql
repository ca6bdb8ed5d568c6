-- Surveys, steps and scores are consistent: no rows of a survey without objects, no step without a round, no lost score.
SELECT format('survey {} has {} but no object', survey, what)
FROM (SELECT DISTINCT survey, 'stamps' AS what FROM stamps
      UNION ALL SELECT DISTINCT survey, 'labels' FROM labels
      UNION ALL SELECT DISTINCT survey, 'scores' FROM scores)
WHERE survey NOT IN (SELECT DISTINCT survey FROM objects)
UNION ALL
SELECT format('step {} of round {} belongs to no round', step, round)
FROM steps ANTI JOIN rounds USING (round)
UNION ALL
SELECT format('round {} has recorded the step {} {} times', round, step, count(*))
FROM steps GROUP BY round, step HAVING count(*) > 1
UNION ALL
SELECT format('round {} planned {} objects and scored {}', s.round, r.plan ->> '$.scored', s.details ->> '$.objects')
FROM steps AS s JOIN rounds AS r USING (round)
WHERE s.step = 'scored' AND (r.plan ->> '$.scored') <> (s.details ->> '$.objects')
UNION ALL
SELECT format('the model of round {} has {} scores where {} were recorded', s.model, coalesce(c.scored, 0), s.scored)
FROM (SELECT model, sum(scored) AS scored FROM scorings GROUP BY model) AS s
LEFT JOIN (SELECT model, count(*) AS scored FROM scores GROUP BY model) AS c ON c.model = s.model
WHERE s.scored IS DISTINCT FROM coalesce(c.scored, 0)
ORDER BY ALL
