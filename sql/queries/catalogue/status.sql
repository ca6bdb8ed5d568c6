-- Count objects by survey and set: good stamps, labels, promotions, scores.
SELECT survey, CASE WHEN test_set IS NOT NULL THEN 'test ' || test_set ELSE coalesce(split, 'in no set') END AS part,
       count(*) AS objects,
       count(*) FILTER (quality = 'ok') AS good_stamps,
       count(*) FILTER (label IS NOT NULL AND source <> 'promoted') AS asserted,
       count(*) FILTER (source = 'promoted') AS promoted,
       count(*) FILTER (model IS NOT NULL) AS scored,
       count(*) FILTER (in_training) AS in_training,
       count(*) FILTER (firewall IS NOT NULL) AS firewalled
FROM catalog
GROUP BY ALL
ORDER BY ALL
