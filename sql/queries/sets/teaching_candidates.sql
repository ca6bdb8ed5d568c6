-- The images that were drawn to teach a round: their places, their files and the whole prediction.
SELECT d.survey, d.object_id, o.ra, o.dec, o.healpix, d.predicted_label AS class, 'taught' AS source, t.split,
       s.shard, s.row, p.posterior
FROM temp.drawn AS d
JOIN (SELECT survey, object_id, list_value(*COLUMNS('^p_')) AS posterior FROM predictions WHERE model = $model) AS p
    ON p.survey = d.survey AND p.object_id = d.object_id
JOIN standing_objects_at($round) AS o ON o.survey = d.survey AND o.object_id = d.object_id
JOIN standing_splits_at($round) AS t ON t.survey = d.survey AND t.object_id = d.object_id
JOIN standing_stamps_at($round) AS s ON s.survey = d.survey AND s.object_id = d.object_id
ORDER BY d.survey, d.object_id
