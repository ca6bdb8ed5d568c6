-- Objects in the catalogue, by survey, split and domain
-- Only objects of the domain `in` may be promoted.
SELECT survey, coalesce(test_set, split, 'in no set') AS part, domain, count(*) AS objects
FROM catalog
GROUP BY ALL
ORDER BY ALL;
