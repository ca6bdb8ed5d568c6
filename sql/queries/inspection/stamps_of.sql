-- Where the pixels of the objects seen through the lens are.
SELECT survey, object_id, shard, row, quality FROM standing_stamps_at()
