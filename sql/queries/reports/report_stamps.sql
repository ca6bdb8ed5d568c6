-- Where the good stamps of the objects lie that the lens shows.
SELECT survey, object_id, shard, row FROM standing_stamps_at($at) WHERE quality = 'ok' AND shard IS NOT NULL
ORDER BY survey, object_id
