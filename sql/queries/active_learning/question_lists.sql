-- Every list of questions, the newest first, with the number of its objects that have an answer of anybody.
SELECT q.strategy || '-' || q.run AS list, q.strategy, q.purpose, q.round, q.run, r.recorded_at,
       count(DISTINCT (q.survey, q.object_id)) AS objects,
       count(DISTINCT (q.survey, q.object_id)) FILTER (h.object_id IS NOT NULL) AS answered
FROM queue AS q
JOIN runs AS r ON r.run = q.run
LEFT JOIN (SELECT survey, object_id, of_object_id FROM aliases) AS a
    ON a.survey = q.survey AND a.object_id = q.object_id
LEFT JOIN (
    SELECT DISTINCT survey, object_id FROM labels
    WHERE source = 'human' AND kind IN ('label', 'unsure')
      AND event NOT IN (SELECT retracts FROM labels WHERE retracts IS NOT NULL)) AS h
    ON h.survey = q.survey AND h.object_id = coalesce(a.of_object_id, q.object_id)
GROUP BY ALL
ORDER BY q.run DESC, q.strategy
