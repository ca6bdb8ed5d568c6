-- The first few objects of each kind of change; the slot takes diff_objects.
SELECT * FROM ({objects})
WHERE change IS NOT NULL
QUALIFY row_number() OVER (PARTITION BY change ORDER BY survey, object_id) <= $examples
ORDER BY change, survey, object_id
