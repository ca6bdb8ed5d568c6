-- How many labels each person gave
-- Empty where nobody has labelled by name.
SELECT coalesce(annotator, 'unnamed') AS annotator, label, count(*) AS labels, max(recorded_at)::DATE AS last_on
FROM labels
WHERE source = 'human' AND kind = 'label'
GROUP BY ALL
ORDER BY ALL;
