-- Nothing that may be a test object was trained on after the firewall knew it.
SELECT format('round {} trained on {} {}, which may be a test object by {}', n.round, n.survey, n.object_id, x.rule)
FROM training AS n JOIN exclusions AS x ON x.survey = n.survey AND x.object_id = n.object_id
WHERE x.round <= n.round
ORDER BY ALL
