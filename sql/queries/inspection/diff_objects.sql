-- Every object of the later of two rounds, with its label and predicted class at the end of both. The truth of a test
-- object is never a label. `change` is NULL if the label is the same; `reason` is that of the latest event in between.
WITH before AS (
    SELECT l.* FROM standing_labels_at($first) AS l
    ANTI JOIN test_members_at($first) AS t ON t.survey = l.survey AND t.object_id = l.object_id),
after AS (
    SELECT l.* FROM standing_labels_at($last) AS l
    ANTI JOIN test_members_at($last) AS t ON t.survey = l.survey AND t.object_id = l.object_id),
told AS (
    SELECT survey, object_id,
           arg_max(CASE WHEN kind <> 'label' THEN 'retracted' WHEN source = 'promoted' THEN 'promoted'
                        ELSE 'labelled by ' || source END
                   || coalesce(': ' || reason, ''), event) AS reason
    FROM labels WHERE round > $first AND round <= $last GROUP BY survey, object_id),
joined AS (
    SELECT survey, object_id FROM test_sets WHERE round > $first AND round <= $last GROUP BY survey, object_id)
SELECT o.survey, o.object_id,
       CASE WHEN b.label IS NULL AND a.label IS NOT NULL THEN 'added'
            WHEN b.label IS NOT NULL AND a.label IS NULL THEN 'retracted'
            WHEN b.label <> a.label THEN 'changed'
            WHEN b.source <> a.source THEN 'restated' END AS change,
       b.label AS label_before, b.source AS source_before, a.label AS label_after, a.source AS source_after,
       p.predicted_label AS predicted_before, p.predicted_confidence AS confidence_before,
       q.predicted_label AS predicted_after, q.predicted_confidence AS confidence_after,
       CASE WHEN j.object_id IS NOT NULL THEN 'belongs to a test set since' ELSE t.reason END AS reason
FROM standing_objects_at($last) AS o
LEFT JOIN before AS b ON b.survey = o.survey AND b.object_id = o.object_id
LEFT JOIN after AS a ON a.survey = o.survey AND a.object_id = o.object_id
LEFT JOIN latest_predictions_at($first) AS p ON p.survey = o.survey AND p.object_id = o.object_id
LEFT JOIN latest_predictions_at($last) AS q ON q.survey = o.survey AND q.object_id = o.object_id
LEFT JOIN told AS t ON t.survey = o.survey AND t.object_id = o.object_id
LEFT JOIN joined AS j ON j.survey = o.survey AND j.object_id = o.object_id
