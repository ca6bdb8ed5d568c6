-- Policy certified: the pool objects at or above the threshold of their class's certificate, in its random share.
SELECT p.survey, p.object_id, 'label' AS kind, p.predicted_label AS label, p.predicted_confidence AS confidence,
       'promoted' AS source, p.model, k.certificate,
       format('certified: calibrated confidence {:.4f} reaches {:.4f}, certificate {}',
              p.calibrated_confidence, k.threshold, k.certificate) AS reason
FROM certifiable AS p
JOIN cuts AS k ON k.class = p.predicted_label AND p.calibrated_confidence >= k.threshold
    AND uniform_draw('share ' || $round, p.survey, p.object_id) < k.share
ORDER BY p.predicted_label, p.calibrated_confidence DESC, p.survey, p.object_id
