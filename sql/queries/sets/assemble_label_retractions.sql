-- Retractions of the labels that an earlier call gave and that the votes no longer give.
SELECT l.survey, l.object_id, 'retraction' AS kind, l.label, NULL AS confidence, l.source, l.annotator, NULL AS model,
       NULL AS certificate, 'the votes no longer say so, or not surely enough' AS reason, l.event AS retracts
FROM labels AS l
ANTI JOIN (SELECT retracts FROM labels WHERE kind = 'retraction') AS r ON r.retracts = l.event
ANTI JOIN stated AS n ON n.survey = l.survey AND n.object_id = l.object_id
ANTI JOIN test_sets AS t ON t.survey = l.survey AND t.object_id = l.object_id
WHERE l.kind = 'label' AND l.source = 'galaxy_zoo' AND l.annotator = 'Galaxy Zoo 1, Table 2'
  AND l.survey IN ($labelled, $target)
ORDER BY l.event
