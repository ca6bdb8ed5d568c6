-- The most confident unlabelled objects of each class
-- The next round considers these first. Empty before the first round, or when the pool is used up.
SELECT predicted_label, survey, object_id, ra, dec, round(predicted_confidence, 4) AS confidence
FROM catalog
WHERE label IS NULL AND split = 'pool' AND domain = 'in' AND firewall IS NULL AND model IS NOT NULL
QUALIFY row_number() OVER (PARTITION BY predicted_label ORDER BY predicted_confidence DESC, survey, object_id) <= 5
ORDER BY predicted_label, predicted_confidence DESC, survey, object_id;
