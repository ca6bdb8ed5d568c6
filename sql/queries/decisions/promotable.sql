-- The objects that may be promoted: at least as confident as $least, and no more than $most of a class.
SELECT survey, object_id, predicted_label, predicted_confidence, model
FROM promotable_at($round)
WHERE predicted_confidence >= $least AND ($survey IS NULL OR survey = $survey)
QUALIFY $most IS NULL OR row_number() OVER (
    PARTITION BY predicted_label ORDER BY predicted_confidence DESC, survey, object_id) <= $most
