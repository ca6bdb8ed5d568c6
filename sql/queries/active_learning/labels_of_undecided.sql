-- Every label, not retracted, of objects on which people do not agree now.
SELECT l.survey, l.object_id, l.event, l.label, l.source, l.annotator, l.reason
FROM labels AS l
SEMI JOIN undecided AS u ON u.survey = l.survey AND u.object_id = l.object_id
ANTI JOIN (SELECT retracts FROM labels WHERE kind = 'retraction') AS r ON r.retracts = l.event
WHERE l.kind = 'label' AND l.source <> 'promoted'
ORDER BY l.event
