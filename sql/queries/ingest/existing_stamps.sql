-- Images of a survey's objects, and which of them are whole: could be read, and lack no pixels where cut from tiles.
SELECT object_id, sha256,
       shard IS NOT NULL AND NOT list_has_any(string_split(quality, ','), ['masked', 'truncated']) AS whole,
       quality = 'misplaced' AS misplaced
FROM standing_stamps_at()
WHERE survey = $survey
