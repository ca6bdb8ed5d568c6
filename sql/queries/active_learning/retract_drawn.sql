-- Retractions of the promoted labels of objects that have been drawn for calibration.
SELECT l.survey, l.object_id, 'retraction' AS kind, l.label, l.confidence, l.source, l.annotator, l.model, l.certificate,
       'drawn for calibration' AS reason, l.event AS retracts
FROM standing_labels_at() AS l
JOIN chosen AS c ON c.survey = l.survey AND c.object_id = l.object_id
WHERE l.source = 'promoted'
ORDER BY l.survey, l.object_id
