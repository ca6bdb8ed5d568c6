-- Queue a simple random sample of each batch: the first ones by a hash. The order of the queue is by another hash over all
-- batches, because the first hash is low in batches of which a small fraction was drawn, and would reveal the class.
INSERT INTO queue BY NAME
WITH sizes AS (SELECT unnest($certificates) AS certificate, unnest($sizes) AS size),
     drawn AS (
        SELECT b.certificate, b.survey, b.object_id, z.size / count(*) OVER (PARTITION BY b.certificate) AS probability,
               concat_ws(':', b.certificate, b.survey, b.object_id, r.seed) AS key
        FROM temp.covered AS b
        JOIN sizes AS z ON z.certificate = b.certificate
        JOIN rounds AS r ON r.round = $round
        QUALIFY row_number() OVER (PARTITION BY b.certificate ORDER BY md5(key), key) <= z.size)
SELECT 'audit' AS strategy, 'audit' AS purpose, survey, object_id, certificate, probability,
       row_number() OVER (ORDER BY md5('place:' || key), key) AS place, $round AS round, $run AS run
FROM drawn
ORDER BY place
