-- Move objects drawn for calibration out of the pool, for good.
INSERT INTO splits BY NAME
SELECT survey, object_id, 'calibration' AS split, true AS stated, $round AS round, $run AS run
FROM chosen ORDER BY survey, object_id
