-- Objects that pass a filter, in order, with the place of their stamps; for one range of ids.
SELECT c.*, s.shard, s.row
FROM (SELECT * FROM catalog_at($at) {condition} ORDER BY survey, object_id LIMIT $n) AS c
LEFT JOIN standing_stamps_at() AS s ON s.survey = c.survey AND s.object_id = c.object_id
ORDER BY c.survey, c.object_id
