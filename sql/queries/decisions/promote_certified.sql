-- Policy certified: the pool objects without a label that their class's certificate covers.
SELECT p.survey, p.object_id, 'label' AS kind, p.predicted_label AS label, p.predicted_confidence AS confidence,
       'promoted' AS source, p.model, k.certificate,
       format('certified: calibrated confidence {:.4f} reaches {:.4f}, certificate {}',
              p.calibrated_confidence, k.threshold, k.certificate) AS reason
FROM covered AS p
JOIN cuts AS k ON k.certificate = p.certificate
WHERE p.label IS NULL
ORDER BY p.predicted_label, p.calibrated_confidence DESC, p.survey, p.object_id
