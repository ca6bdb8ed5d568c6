-- Labelled objects that may be trained or validated on as of a round.
SELECT c.survey, c.object_id, c.ra, c.dec, o.healpix, l.label AS class, l.source, c.split, s.shard, s.row
FROM standing_labels_at($round) AS l
JOIN places_at($round) AS c ON c.survey = l.survey AND c.object_id = l.object_id
JOIN standing_objects_at($round) AS o ON o.survey = l.survey AND o.object_id = l.object_id
JOIN standing_stamps_at($round) AS s ON s.survey = l.survey AND s.object_id = l.object_id
WHERE l.label IS NOT NULL AND c.test_set IS NULL AND c.firewall IS NULL AND c.domain = 'in' AND c.quality = 'ok'
  AND c.split IN ('train', 'validation', 'pool')
  AND (c.split <> 'validation' OR l.source <> 'promoted')
ORDER BY c.survey, c.object_id
