-- Record the networks of earlier rounds as further members of a model.
INSERT INTO members
SELECT $model, $own + i.place, any_value(n.seed), n.file, any_value(n.sha256), any_value(n.epochs),
       any_value(n.best_epoch), any_value(n.validation_loss), $model, $run
FROM (SELECT unnest($files) AS file, generate_subscripts($files, 1) - 1 AS place) AS i
JOIN (SELECT file, seed, sha256, epochs, best_epoch, validation_loss FROM models
      UNION ALL
      SELECT file, seed, sha256, epochs, best_epoch, validation_loss FROM members) AS n ON n.file = i.file
GROUP BY n.file, i.place
ORDER BY i.place
