-- Objects whose label or predicted class changed, in order; the slot takes diff_objects.
SELECT * FROM ({objects})
WHERE change IS NOT NULL OR predicted_before IS DISTINCT FROM predicted_after
ORDER BY survey, object_id
