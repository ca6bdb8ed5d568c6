-- Promoted labels to retract: the round's model scores the object below the floor or as another class, or it has become
-- a test object or may be one.
SELECT l.survey, l.object_id, 'retraction' AS kind, l.label, p.predicted_confidence AS confidence,
       'promoted' AS source, p.model AS model, l.event AS retracts,
       CASE WHEN t.object_id IS NOT NULL THEN 'it is a member of test set ' || t.test_set
            WHEN x.object_id IS NOT NULL THEN 'it may be a test object (' || x.firewall || ')'
            WHEN p.predicted_label <> l.label THEN
                format('round {} scores it {} at {:.4f}', $round, p.predicted_label, p.predicted_confidence)
            ELSE format('round {} scores it {} at {:.4f}, below the floor of {}',
                        $round, p.predicted_label, p.predicted_confidence, $floor) END AS reason
FROM standing_labels_at($round) AS l
LEFT JOIN predictions AS p ON p.survey = l.survey AND p.object_id = l.object_id AND p.model = $round
LEFT JOIN test_members_at($round) AS t ON t.survey = l.survey AND t.object_id = l.object_id
LEFT JOIN exclusions_at($round) AS x ON x.survey = l.survey AND x.object_id = l.object_id
WHERE l.source = 'promoted'
  AND (p.predicted_label <> l.label OR p.predicted_confidence < $floor
       OR t.object_id IS NOT NULL OR x.object_id IS NOT NULL)
  -- an audit may have retracted it while the round ran
  AND l.event NOT IN (SELECT retracts FROM labels WHERE retracts IS NOT NULL)
ORDER BY l.survey, l.object_id
