-- Append a model's posteriors from shards sorted by survey and object_id. Shards of an ensemble have the column
-- mutual_information; those of a single network do not, and it stays NULL.
INSERT INTO posteriors BY NAME
-- Calibrated: softmax(scale * ln p + shift) of the class of highest posterior; NULL for a model without a calibrator.
-- With `calibrate` under [speaking], the posteriors of the target survey are recorded calibrated.
SELECT s.* {replaced}, {calibrated} AS calibrated_confidence, $model AS model, $round AS round, $run AS run
FROM read_parquet($files, hive_partitioning = false) AS s
