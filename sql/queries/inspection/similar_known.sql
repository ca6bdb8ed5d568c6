-- What the catalogue says of the objects that were found, in their order; read under a lens on the table `found`.
SELECT f.survey, f.object_id, f.distance, c.label, c.source, c.predicted_label, c.predicted_confidence, c.domain
FROM found AS f
JOIN catalog AS c ON c.survey = f.survey AND c.object_id = f.object_id
ORDER BY f.distance, f.survey, f.object_id
