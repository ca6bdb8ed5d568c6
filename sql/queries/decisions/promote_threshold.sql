-- Policy threshold: every pool object whose confidence reaches a fixed threshold.
SELECT survey, object_id, 'label' AS kind, predicted_label AS label, predicted_confidence AS confidence,
       'promoted' AS source, model,
       format('threshold: {:.4f} reaches {}', predicted_confidence, $threshold) AS reason
FROM promotable
ORDER BY predicted_label, predicted_confidence DESC, survey, object_id
