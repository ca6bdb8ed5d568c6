-- Every stamp, label and score belongs to an existing object.
-- Object by object.
SELECT format('{} {} has a stamp but does not exist', survey, object_id)
FROM stamps ANTI JOIN objects USING (survey, object_id)
UNION ALL
SELECT format('{} {} has a label but does not exist', survey, object_id)
FROM labels ANTI JOIN objects USING (survey, object_id)
UNION ALL
SELECT format('{} {} has a score but does not exist', survey, object_id)
FROM predictions ANTI JOIN objects USING (survey, object_id)
ORDER BY ALL
