-- Open no longer: the uncontested, all of which are pairs, and every candidate of an object that is paired now.
DELETE FROM open_candidates
WHERE NOT contested OR id_a IN (SELECT id_a FROM pairs WHERE contested) OR id_b IN (SELECT id_b FROM pairs WHERE contested)
