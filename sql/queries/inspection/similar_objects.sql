-- The objects with the smallest cosine distance to the given features (1 less the cosine of the angle). Features that
-- are all zero have no direction: their distance is 1. Streams through the files and keeps only the nearest objects.
SELECT survey, object_id, CASE WHEN isnan(angle) THEN 1 ELSE greatest(angle, 0) END AS distance
FROM (SELECT survey, object_id, list_cosine_distance(features, $features::FLOAT[]) AS angle FROM read_parquet($files, hive_partitioning = false))
WHERE NOT (survey = $survey AND object_id = $object_id)
ORDER BY distance, survey, object_id
LIMIT $n
