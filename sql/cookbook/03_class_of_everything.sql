-- One class for every object, and whether it is asserted or predicted
-- A label of a person, a catalogue or a promotion where there is one, else what the latest model says.
SELECT survey, object_id, coalesce(label, predicted_label) AS class, coalesce(source, 'predicted') AS said_by,
       coalesce(confidence, calibrated_confidence, predicted_confidence) AS confidence
FROM catalog
WHERE domain = 'in'
ORDER BY survey, object_id
LIMIT 20;
