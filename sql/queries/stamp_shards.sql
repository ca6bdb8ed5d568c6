SELECT shard, max(row) + 1 FROM stamps WHERE shard IS NOT NULL GROUP BY shard ORDER BY shard
