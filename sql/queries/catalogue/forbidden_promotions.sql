-- Promotions that the firewall should have prevented; any row means an error in catbuilder.
SELECT i.survey, i.object_id,
       CASE WHEN c.object_id IS NULL THEN 'is not in the catalogue'
            WHEN c.test_set IS NOT NULL THEN 'belongs to test set ' || c.test_set
            WHEN c.firewall IS NOT NULL THEN 'is a test object by ' || c.firewall
            WHEN c.split = 'calibration' THEN 'is a calibration object'
            ELSE 'is not in the target population (' || c.domain || ')' END AS why
FROM incoming_events AS i
LEFT JOIN places_at() AS c ON c.survey = i.survey AND c.object_id = i.object_id
WHERE i.source = 'promoted' AND i.kind = 'label'
  AND (c.object_id IS NULL OR c.test_set IS NOT NULL OR c.firewall IS NOT NULL
       OR c.split = 'calibration' OR c.domain <> 'in')
ORDER BY i.survey, i.object_id
