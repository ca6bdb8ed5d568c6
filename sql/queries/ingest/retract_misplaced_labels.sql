-- Retract labels that came with an image under a wrong id: they are about another object.
SELECT l.survey, l.object_id, 'retraction' AS kind, l.label, NULL AS confidence, l.source, l.annotator, NULL AS model,
       NULL AS certificate, 'its image shows another object: the stated position is far from where the catalogue has this id' AS reason,
       l.event AS retracts
FROM labels AS l
SEMI JOIN (SELECT object_id FROM stamps WHERE run = $run AND quality = 'misplaced') AS s ON s.object_id = l.object_id
ANTI JOIN (SELECT retracts FROM labels WHERE kind = 'retraction') AS r ON r.retracts = l.event
WHERE l.survey = $survey AND l.kind = 'label' AND starts_with(l.reason, 'ingested with ')
ORDER BY l.event
