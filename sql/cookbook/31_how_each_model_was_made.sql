-- Recipe, seed, software and file of each model
SELECT m.model AS round, r.recipe, r.seed, s.ranks, m.backbone, m.epochs, m.best_epoch,
       round(m.validation_loss, 4) AS validation_loss, left(m.sha256, 12) AS sha256, u.version AS catbuilder, u.host
FROM models AS m
JOIN rounds AS r ON r.round = m.model
JOIN round_status AS s ON s.round = m.model
JOIN runs AS u ON u.run = m.run
ORDER BY m.model;
