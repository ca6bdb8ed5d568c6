-- Domains of the objects that an archive measured; what the SQL left without one is unknown.
INSERT INTO domains BY NAME
SELECT $survey AS survey, object_id, coalesce(domain, 'unknown') AS domain, reason, $round AS round, $run AS run
FROM found_domains
ORDER BY object_id
