-- Every row refers to an object that exists, and every step of a round to a round.
SELECT format('{} {} has a stamp but is no object', survey, object_id)
FROM stamps ANTI JOIN objects USING (survey, object_id)
UNION ALL
SELECT format('{} {} has a label but is no object', survey, object_id)
FROM labels ANTI JOIN objects USING (survey, object_id)
UNION ALL
SELECT format('{} {} has a score but is no object', survey, object_id)
FROM predictions ANTI JOIN objects USING (survey, object_id)
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
ORDER BY ALL
