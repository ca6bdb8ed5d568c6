-- One counterpart an object, by id; what the other catalogue calls now this, now that, it commits to neither.
CREATE OR REPLACE TEMP TABLE counterparts AS
SELECT object_id, CASE WHEN count(DISTINCT label) = 1 THEN any_value(label) END AS label
FROM theirs
WHERE object_id IS NOT NULL
GROUP BY object_id
ORDER BY object_id
