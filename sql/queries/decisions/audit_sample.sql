-- A simple random sample of each batch: the first so many by a hash. The place is by another hash, over all batches
-- together: the first hash is low wherever few of many were drawn, and an order by it would tell the classes apart.
INSERT INTO queue BY NAME
WITH sizes AS (SELECT unnest($certificates) AS certificate, unnest($sizes) AS size),
     drawn AS (
        SELECT l.certificate, l.survey, l.object_id, z.size / count(*) OVER (PARTITION BY l.certificate) AS probability,
               concat_ws(':', l.certificate, l.survey, l.object_id, r.seed) AS key
        FROM labels AS l
        JOIN sizes AS z ON z.certificate = l.certificate
        JOIN rounds AS r ON r.round = l.round
        WHERE l.kind = 'label' AND l.source = 'promoted' AND l.round = $round
        QUALIFY row_number() OVER (PARTITION BY l.certificate ORDER BY md5(key), key) <= z.size)
SELECT 'audit' AS strategy, 'audit' AS purpose, survey, object_id, certificate, probability,
       row_number() OVER (ORDER BY md5('place:' || key), key) AS place, $round AS round, $run AS run
FROM drawn
ORDER BY place
