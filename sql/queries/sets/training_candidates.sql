-- Labelled objects that may be trained or validated on as of a round.
SELECT c.survey, c.object_id, c.ra, c.dec, o.healpix, c.label AS class, c.source, c.split, s.shard, s.row
FROM catalog_at($round) AS c
JOIN standing_objects_at($round) AS o ON o.survey = c.survey AND o.object_id = c.object_id
JOIN standing_stamps_at($round) AS s ON s.survey = c.survey AND s.object_id = c.object_id
WHERE c.label IS NOT NULL AND c.test_set IS NULL AND c.firewall IS NULL AND c.domain = 'in' AND c.quality = 'ok'
  AND c.split IN ('train', 'validation', 'pool')
  AND (c.split <> 'validation' OR c.source <> 'promoted')
ORDER BY c.survey, c.object_id
