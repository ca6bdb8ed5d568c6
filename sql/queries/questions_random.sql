-- Objects of the pool without a label, with a good stamp and of the target population, in the order of a hash.
SELECT c.survey, c.object_id, c.name, c.ra, c.dec, s.file, CAST(NULL AS VARCHAR) AS label,
       CAST(NULL AS VARCHAR) AS annotator
FROM catalog AS c
JOIN standing_stamps_at(2147483647) AS s ON s.survey = c.survey AND s.object_id = c.object_id
WHERE c.label IS NULL AND c.split = 'pool' AND c.domain = 'in' AND c.test_set IS NULL AND c.firewall IS NULL
ORDER BY md5(concat_ws(':', 'random', c.survey, c.object_id)), c.survey, c.object_id
LIMIT $n
