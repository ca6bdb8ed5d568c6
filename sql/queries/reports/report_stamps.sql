-- Shard and row of the good stamps of the selected objects (`restricted_to`).
SELECT survey, object_id, shard, row FROM standing_stamps_at($at) WHERE quality = 'ok' AND shard IS NOT NULL
ORDER BY survey, object_id
