-- What of the objects that are looked at may be promoted: at least so sure, and no more of a class than could be taken.
SELECT survey, object_id, predicted_label, predicted_confidence, model
FROM promotable_at($round)
WHERE predicted_confidence >= $least
QUALIFY $most IS NULL OR row_number() OVER (
    PARTITION BY predicted_label ORDER BY predicted_confidence DESC, survey, object_id) <= $most
