-- Images of a survey's objects, and whether each stamp is complete: readable and, if cut from tiles, not lacking
-- pixels.
SELECT object_id, sha256,
       shard IS NOT NULL AND NOT list_has_any(string_split(quality, ','), ['masked', 'truncated']) AS whole,
       quality = 'misplaced' AS misplaced
FROM standing_stamps_at()
WHERE survey = $survey
