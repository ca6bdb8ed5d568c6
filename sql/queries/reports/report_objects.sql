-- Columns of the catalogue for the sampled objects (`restricted_to`), in a random but fixed order.
SELECT c.survey, c.object_id, c.ra, c.dec, c.mag_g, c.mag_r, c.radius_arcsec, c.split, c.domain, c.test_set, c.in_training,
       c.predicted_label, c.predicted_confidence, s.shard, s.row
FROM catalog_at($at) AS c
JOIN standing_stamps_at($at) AS s ON s.survey = c.survey AND s.object_id = c.object_id
WHERE c.predicted_label IS NOT NULL
ORDER BY md5(concat_ws(':', 'report', c.survey, c.object_id)), c.survey, c.object_id
