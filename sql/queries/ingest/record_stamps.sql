-- Record the stamps of the incoming images.
INSERT INTO stamps BY NAME
SELECT i.survey, i.object_id, i.shard, i.row, i.file, i.sha256, i.rendering, i.arcsec_per_pixel,
       i.width_px, i.height_px, i.quality, i.reason, $round AS round, $run AS run
FROM incoming AS i
ORDER BY i.survey, i.object_id
