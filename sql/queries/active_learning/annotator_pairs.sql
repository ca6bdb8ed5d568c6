-- Count, for each pair of annotators, the objects by the class that each gave; the latest standing label of each
-- counts.
WITH words AS (
    SELECT survey, object_id, annotator, arg_max(label, event) AS label FROM labels
    WHERE source = 'human' AND kind = 'label' AND annotator IS NOT NULL
      AND event NOT IN (SELECT retracts FROM labels WHERE retracts IS NOT NULL)
    GROUP BY ALL)
SELECT a.annotator AS annotator_a, b.annotator AS annotator_b, a.label AS label_a, b.label AS label_b, count(*) AS objects
FROM words AS a
JOIN words AS b ON b.survey = a.survey AND b.object_id = a.object_id AND b.annotator > a.annotator
GROUP BY ALL
ORDER BY ALL
