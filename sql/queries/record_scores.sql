-- A model's posteriors with what follows from them. The class of highest posterior wins, the first of equals.
INSERT INTO predictions BY NAME
WITH scores AS (SELECT *, list_value(*COLUMNS('^p_')) AS posterior FROM read_parquet($files))
SELECT * EXCLUDE (posterior),
       $classes[list_position(posterior, list_max(posterior))] AS predicted_label,
       list_max(posterior) AS predicted_confidence,
       -list_sum(list_transform(posterior, lambda p: p * ln(greatest(p, 1e-30)))) AS uncertainty,
       $model AS model, $round AS round, $run AS run
FROM scores
ORDER BY survey, object_id
