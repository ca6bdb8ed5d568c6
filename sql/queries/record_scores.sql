-- A model's posteriors with what follows from them. The class of highest posterior wins, the first of equals. The shards
-- of an ensemble bring the column mutual_information; those of a single network have none, and it stays NULL.
INSERT INTO predictions BY NAME
-- Calibrated: softmax(scale * ln p + shift) of that class; NULL for a model without a calibrator.
WITH scores AS (SELECT *, list_value(*COLUMNS('^p_')) AS posterior FROM read_parquet($files)),
logits AS (SELECT *, list_transform(posterior, lambda p, i: scale[i] * ln(greatest(p::DOUBLE, 1e-30)) + shift[i]) AS logit
           FROM scores LEFT JOIN (SELECT scale, shift FROM calibrators WHERE model = $model) ON true)
SELECT * EXCLUDE (posterior, logit, scale, shift),
       $classes[list_position(posterior, list_max(posterior))] AS predicted_label,
       list_max(posterior) AS predicted_confidence,
       -list_sum(list_transform(posterior, lambda p: p * ln(greatest(p, 1e-30)))) AS uncertainty,
       1 / list_sum(list_transform(logit, lambda z: exp(z - logit[list_position(posterior, list_max(posterior))])))
           AS calibrated_confidence,
       $model AS model, $round AS round, $run AS run
FROM logits
ORDER BY survey, object_id
