-- No test object, calibration object or object outside the target population carries a promoted label.
SELECT format('{} {} has the promoted label {} (event {})', l.survey, l.object_id, l.label, l.event)
FROM standing_labels_at(2147483647) AS l
JOIN catalog AS c ON c.survey = l.survey AND c.object_id = l.object_id
WHERE l.source = 'promoted'
  AND (c.test_set IS NOT NULL OR c.firewall IS NOT NULL OR c.split = 'calibration' OR c.domain <> 'in')
  -- a test set declared after the promotion is cleaned up by the next round
  AND EXISTS (SELECT 1 FROM steps AS s WHERE s.step = 'decided' AND s.round > l.label_round)
ORDER BY ALL
