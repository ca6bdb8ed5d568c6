-- The objects with the most uncertain predictions
-- By the entropy of the posterior (`uncertainty`): label these first.
SELECT survey, object_id, predicted_label, round(predicted_confidence, 3) AS confidence, round(uncertainty, 3) AS entropy
FROM catalog
WHERE model IS NOT NULL
ORDER BY uncertainty DESC, survey, object_id
LIMIT 10;
