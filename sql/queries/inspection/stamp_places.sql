-- Shard, row and quality of the stamps of the objects in view.
SELECT survey, object_id, shard, row, quality FROM standing_stamps_at()
