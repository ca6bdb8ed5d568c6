-- What a round with [teaching] may train on: labelled objects without promoted labels, the images that teach, and
-- everybody's weight in the loss. Only a soft target needs the posterior.
SELECT survey, object_id, ra, dec, healpix, class, source, split, shard, row,
       CASE WHEN source = 'human' THEN $human_weight ELSE 1.0 END::FLOAT AS weight,
       CASE WHEN $soft THEN posterior END::FLOAT[] AS posterior
FROM (SELECT * FROM temp.labelled WHERE source <> 'promoted'
      UNION ALL BY NAME
      SELECT * FROM taught)
ORDER BY survey, object_id
