-- Galaxies on which the volunteers were divided
-- A share of votes below 0.8 for the winning class. Empty without votes (Galaxy Zoo 1, or a test set with `votes`).
SELECT survey, object_id, round(votes, 3) AS votes, coalesce(test_set, split) AS part, predicted_label,
       round(predicted_confidence, 3) AS confidence
FROM catalog
WHERE votes < 0.8
ORDER BY votes, survey, object_id
LIMIT 20;
