-- Recorded scores of a model whose calibrated confidence is not what its calibrator gives; the last digits may differ
-- between machines.
SELECT survey, object_id, count(*) OVER () AS differing
FROM (SELECT survey, object_id, calibrated_confidence AS recorded, CAST({calibrated} AS FLOAT) AS computed
      FROM scores WHERE model = $model)
WHERE recorded IS DISTINCT FROM computed AND coalesce(abs(recorded - computed), 1) > 1e-5
ORDER BY survey, object_id
LIMIT $n
