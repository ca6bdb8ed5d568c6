-- Every image that taught a round without a label did so as the planned model had predicted.
SELECT format('round {}: {} {} taught as {}, where the model of round {} says {}', t.round, t.survey, t.object_id, t.label,
              r.plan ->> '$.teacher', coalesce(p.predicted_label, 'nothing'))
FROM training AS t
JOIN rounds AS r ON r.round = t.round
LEFT JOIN predictions AS p ON p.survey = t.survey AND p.object_id = t.object_id
    AND p.model = CAST(r.plan ->> '$.teacher' AS INTEGER)
WHERE t.role = 'teaching' AND t.label IS DISTINCT FROM p.predicted_label
ORDER BY ALL
