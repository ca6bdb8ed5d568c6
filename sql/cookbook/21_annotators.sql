-- Number of labels by each person
-- Empty if no label has an annotator.
SELECT coalesce(annotator, 'unnamed') AS annotator, label, count(*) AS labels, max(recorded_at)::DATE AS last_on
FROM labels
WHERE source = 'human' AND kind = 'label'
GROUP BY ALL
ORDER BY ALL;
