-- Retractions of every label promoted under a certificate and not retracted yet, also where a person's label overrides it.
SELECT l.survey, l.object_id, 'retraction' AS kind, l.label, l.confidence, l.source, l.annotator, l.model,
       l.certificate, CAST($reason AS VARCHAR) AS reason, l.event AS retracts
FROM labels AS l
WHERE l.kind = 'label' AND l.source = 'promoted' AND l.certificate = $certificate
  AND l.event NOT IN (SELECT retracts FROM labels WHERE retracts IS NOT NULL)
ORDER BY l.survey, l.object_id, l.event
