-- No object that the firewall excludes was used for training afterwards.
SELECT format('round {} trained on {} {}, which the firewall excludes by {}', n.round, n.survey, n.object_id, x.rule)
FROM training AS n JOIN exclusions AS x ON x.survey = n.survey AND x.object_id = n.object_id
WHERE x.round <= n.round
ORDER BY ALL
