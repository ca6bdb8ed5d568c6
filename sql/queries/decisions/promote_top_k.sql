-- Policy top_k: the most confident pool objects of each class (Khan et al. 2019, section III).
SELECT survey, object_id, 'label' AS kind, predicted_label AS label, predicted_confidence AS confidence,
       'promoted' AS source, model,
       format('top_k: {} of the {} surest {}', rank, $per_class, predicted_label) AS reason
FROM (
    SELECT *, row_number() OVER (PARTITION BY predicted_label
                                 ORDER BY predicted_confidence DESC, survey, object_id) AS rank
    FROM promotable)
WHERE rank <= $per_class
ORDER BY predicted_label, rank
