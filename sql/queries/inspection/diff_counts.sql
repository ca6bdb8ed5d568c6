-- Number of objects by kind of change; the slot takes diff_objects.
SELECT change, label_before, source_before, label_after, source_after, predicted_before, predicted_after,
       count(*) AS objects
FROM ({objects})
GROUP BY ALL
