-- A simple random sample of the eligible objects: the first n by a hash.
SELECT survey, object_id FROM temp.eligible
ORDER BY uniform_draw($key, survey, object_id), survey, object_id
LIMIT $n
