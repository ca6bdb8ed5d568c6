-- On how many galaxies of known class only the new, and only the old model is right: validation objects, the fitting half
-- of the calibration objects, and objects of the pool with a person's label that neither model was trained on.
WITH known AS (
    SELECT survey, object_id, label AS truth FROM training WHERE round = $round AND role = 'validation'
    UNION
    SELECT survey, object_id, truth FROM calibration_at($round) WHERE half = 'fit'
    UNION
    SELECT l.survey, l.object_id, l.label
    FROM standing_labels_at($round) AS l
    JOIN standing_splits_at($round) AS d ON d.survey = l.survey AND d.object_id = l.object_id AND d.split = 'pool'
    ANTI JOIN test_members_at($round) AS t ON t.survey = l.survey AND t.object_id = l.object_id
    ANTI JOIN (SELECT survey, object_id FROM training WHERE role = 'training') AS n
        ON n.survey = l.survey AND n.object_id = l.object_id
    WHERE l.source = 'human')
SELECT count(*) FILTER (new.predicted_label = k.truth AND old.predicted_label <> k.truth),
       count(*) FILTER (old.predicted_label = k.truth AND new.predicted_label <> k.truth)
FROM known AS k
JOIN predictions AS new ON new.survey = k.survey AND new.object_id = k.object_id AND new.model = $new
JOIN predictions AS old ON old.survey = k.survey AND old.object_id = k.object_id AND old.model = $old
