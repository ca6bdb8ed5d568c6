-- The fitting half with its true classes, and the posteriors in the shards that a model has just written.
SELECT c.truth, COLUMNS('^p_')
FROM calibration_at($round) AS c
JOIN (SELECT survey, object_id, COLUMNS('^p_') FROM read_parquet($files, hive_partitioning = false)) AS s
    ON s.survey = c.survey AND s.object_id = c.object_id
WHERE c.survey = $target AND c.half = 'fit' AND c.truth IS NOT NULL
ORDER BY c.survey, c.object_id
