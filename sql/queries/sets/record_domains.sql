-- Record the domains of the objects that an archive measured; an object without one is 'unknown'.
INSERT INTO domains BY NAME
SELECT $survey AS survey, s.object_id, coalesce(f.domain, 'unknown') AS domain,
       CASE WHEN f.object_id IS NULL THEN 'not named by the population' ELSE f.reason END AS reason,
       $round AS round, $run AS run
FROM (SELECT object_id FROM des_sources WHERE survey = $survey) AS s
LEFT JOIN found_domains AS f ON f.object_id = s.object_id
ORDER BY s.object_id
