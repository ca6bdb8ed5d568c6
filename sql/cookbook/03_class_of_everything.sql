-- One class for every object, asserted or predicted
-- The label of a person, a catalogue or a promotion if there is one, else the prediction of the latest model.
SELECT survey, object_id, coalesce(label, predicted_label) AS class, coalesce(source, 'predicted') AS said_by,
       coalesce(confidence, calibrated_confidence, predicted_confidence) AS confidence
FROM catalog
WHERE domain = 'in'
ORDER BY survey, object_id
LIMIT 20;
