-- Every promoted label has a model, a matching score of that model, and a round.
-- Object by object.
SELECT format('event {}: {} {} promoted as {} without a matching score', l.event, l.survey, l.object_id, l.label)
FROM labels AS l
LEFT JOIN predictions AS p
    ON p.survey = l.survey AND p.object_id = l.object_id AND p.model = l.model AND p.predicted_label = l.label
LEFT JOIN models AS m ON m.model = l.model
WHERE l.source = 'promoted' AND l.kind = 'label' AND (p.object_id IS NULL OR m.model IS NULL)
ORDER BY ALL
