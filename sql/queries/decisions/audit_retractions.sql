-- Retractions of every label promoted under a certificate and not retracted yet, also where a person's label overrides it.
-- A certificate of the whole pool takes the labels with it that earlier rounds gave to objects which it covers.
SELECT l.survey, l.object_id, 'retraction' AS kind, l.label, l.confidence, l.source, l.annotator, l.model,
       l.certificate, CAST($reason AS VARCHAR) AS reason, l.event AS retracts
FROM labels AS l
WHERE l.kind = 'label' AND l.source = 'promoted'
  AND (l.certificate = $certificate OR (l.survey, l.object_id, l.event) IN (
        SELECT (e.survey, e.object_id, e.event)
        FROM certificates AS c
        JOIN labels AS e ON e.survey = c.survey AND e.label = c.class AND e.round <= c.round
        JOIN predictions AS p ON p.model = c.round AND p.survey = e.survey AND p.object_id = e.object_id
            AND p.predicted_label = c.class AND p.calibrated_confidence >= c.threshold::FLOAT
            AND uniform_draw('share', p.survey, p.object_id) < c.share
        WHERE c.certificate = $certificate AND only_asserts(c.round)))
  AND l.event NOT IN (SELECT retracts FROM labels WHERE retracts IS NOT NULL)
ORDER BY l.survey, l.object_id, l.event
