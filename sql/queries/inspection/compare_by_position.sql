-- The class that the other catalogue gives to each object, paired by position.
CREATE OR REPLACE TEMP TABLE counterparts AS
SELECT p.id_a AS object_id, t.label
FROM pairs AS p
JOIN theirs AS t ON t.row = p.id_b
ORDER BY p.id_a
