-- One object of the found domains that the survey does not have.
SELECT coalesce(f.object_id::VARCHAR, 'an object without an id')
FROM found_domains AS f
ANTI JOIN (SELECT object_id FROM des_sources WHERE survey = $survey) AS s ON s.object_id = f.object_id
LIMIT 1
