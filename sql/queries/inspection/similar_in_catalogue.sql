-- Catalogue rows of the objects in the table `found`, in its order.
SELECT f.survey, f.object_id, f.distance, c.label, c.source, c.predicted_label, c.predicted_confidence, c.domain
FROM found AS f
JOIN catalog AS c ON c.survey = f.survey AND c.object_id = f.object_id
ORDER BY f.distance, f.survey, f.object_id
