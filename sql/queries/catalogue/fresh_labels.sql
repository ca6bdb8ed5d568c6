-- Candidate events, in their order, without labels that repeat the last label of the same source and annotator.
SELECT n.* EXCLUDE (place)
FROM candidate_labels AS n
LEFT JOIN (
    SELECT survey, object_id, source, annotator, arg_max(label, event) AS label
    FROM labels
    WHERE kind = 'label' AND event NOT IN (SELECT retracts FROM labels WHERE retracts IS NOT NULL)
    GROUP BY ALL) AS old
    ON old.survey = n.survey AND old.object_id = n.object_id AND old.source = n.source
    AND old.annotator IS NOT DISTINCT FROM n.annotator
WHERE n.kind <> 'label' OR old.label IS DISTINCT FROM n.label
ORDER BY n.place
