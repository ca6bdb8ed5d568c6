-- Drop the candidates that can no longer be pairs: the uncontested, which are pairs already, and all of paired objects.
DELETE FROM open_candidates
WHERE NOT contested OR id_a IN (SELECT id_a FROM pairs WHERE contested) OR id_b IN (SELECT id_b FROM pairs WHERE contested)
