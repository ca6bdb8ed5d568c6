-- Every stamp, label and score is of an object that exists.
-- Object by object.
SELECT format('{} {} has a stamp but is no object', survey, object_id)
FROM stamps ANTI JOIN objects USING (survey, object_id)
UNION ALL
SELECT format('{} {} has a label but is no object', survey, object_id)
FROM labels ANTI JOIN objects USING (survey, object_id)
UNION ALL
SELECT format('{} {} has a score but is no object', survey, object_id)
FROM predictions ANTI JOIN objects USING (survey, object_id)
ORDER BY ALL
