-- The objects that the model is least sure of
-- By the entropy of the posterior (`uncertainty`): the ones most worth a person's look.
SELECT survey, object_id, predicted_label, round(predicted_confidence, 3) AS confidence, round(uncertainty, 3) AS entropy
FROM catalog
WHERE model IS NOT NULL
ORDER BY uncertainty DESC, survey, object_id
LIMIT 10;
