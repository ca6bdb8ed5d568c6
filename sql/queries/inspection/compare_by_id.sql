-- The class that the other catalogue gives to each id; NULL if its rows disagree.
CREATE OR REPLACE TEMP TABLE counterparts AS
SELECT object_id, CASE WHEN count(DISTINCT label) = 1 THEN any_value(label) END AS label
FROM theirs
WHERE object_id IS NOT NULL
GROUP BY object_id
ORDER BY object_id
