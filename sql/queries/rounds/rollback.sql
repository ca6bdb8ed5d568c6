-- Retract each standing promotion that did not stand at the end of round $to, and reinstate each that stood then and does
-- not stand now. Labels of a batch that an audit has since found to have too many errors are not reinstated, nor those
-- that it has taken back.
WITH standing_now AS (SELECT * FROM standing_labels_at()),
     stood_then AS (SELECT * FROM standing_labels_at($to) WHERE source = 'promoted')
SELECT n.survey, n.object_id, 'retraction' AS kind, n.label, n.confidence, 'promoted' AS source,
       CAST(NULL AS VARCHAR) AS annotator, n.model, n.certificate,
       'rollback to round ' || $to AS reason, n.event AS retracts
FROM standing_now AS n
ANTI JOIN stood_then AS t ON t.survey = n.survey AND t.object_id = n.object_id AND t.label = n.label
WHERE n.source = 'promoted'
UNION ALL
SELECT t.survey, t.object_id, 'label', t.label, t.confidence, 'promoted', NULL, t.model, t.certificate,
       'reinstated by rollback to round ' || $to, NULL
FROM stood_then AS t
JOIN catalog AS c ON c.survey = t.survey AND c.object_id = t.object_id
ANTI JOIN standing_now AS n ON n.survey = t.survey AND n.object_id = t.object_id
    AND (n.label = t.label OR n.source <> 'promoted')
WHERE c.test_set IS NULL AND c.firewall IS NULL AND c.domain = 'in' AND c.split <> 'calibration'
  AND coalesce(t.certificate, '') NOT IN (SELECT certificate FROM audits WHERE verdict = 'broken')
  AND t.event NOT IN (SELECT retracts FROM labels
                      WHERE retracts IS NOT NULL AND run IN (SELECT run FROM audits WHERE verdict = 'broken'))
ORDER BY kind DESC, survey, object_id
