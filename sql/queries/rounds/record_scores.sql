-- A model's posteriors, from shards that come in the order of survey and id. The shards of an ensemble bring the column
-- mutual_information; those of a single network have none, and it stays NULL.
INSERT INTO posteriors BY NAME
-- Calibrated: softmax(scale * ln p + shift) of the class of highest posterior; NULL for a model without a calibrator.
SELECT s.*, {calibrated} AS calibrated_confidence, $model AS model, $round AS round, $run AS run
FROM read_parquet($files) AS s
