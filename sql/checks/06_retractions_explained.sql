-- Every retraction retracts exactly one earlier label, or answer `unsure`, of the same object.
SELECT format('event {} retracts event {}, which is not an earlier label of the same object, or was retracted before',
              r.event, r.retracts)
FROM labels AS r
LEFT JOIN labels AS l
    ON l.event = r.retracts AND l.kind IN ('label', 'unsure') AND l.survey = r.survey AND l.object_id = r.object_id
    AND l.event < r.event
WHERE r.kind = 'retraction'
  AND (l.event IS NULL OR r.retracts IN (
        SELECT retracts FROM labels WHERE kind = 'retraction' GROUP BY retracts HAVING count(*) > 1))
ORDER BY ALL
