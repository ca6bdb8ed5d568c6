-- A simple random sample of the askable objects: the first so many by a hash.
SELECT survey, object_id FROM temp.askable
ORDER BY uniform_draw($key, survey, object_id), survey, object_id
LIMIT $n
