-- Selected objects without an answer, without any prediction, in an order that does not depend on one. Random draws
-- stay open; objects selected by a model stay open until a newer model has scored.
SELECT o.survey, o.object_id, o.name, o.ra, o.dec, s.file, CAST(NULL AS VARCHAR) AS label,
       CAST(NULL AS VARCHAR) AS annotator
FROM asked_at() AS q
JOIN places_at() AS p ON p.survey = q.survey AND p.object_id = q.object_id
JOIN standing_objects_at() AS o ON o.survey = q.survey AND o.object_id = q.object_id
JOIN standing_stamps_at() AS s ON s.survey = o.survey AND s.object_id = o.object_id
ANTI JOIN unsure_at() AS u ON u.survey = q.survey AND u.object_id = q.object_id
LEFT JOIN standing_labels_at() AS h ON h.survey = o.survey AND h.object_id = o.object_id
WHERE q.purpose <> 'audit' AND (q.strategy = 'random' OR q.model = $model)
  AND ($strategy IS NULL OR q.strategy = $strategy) AND ($purpose IS NULL OR q.purpose = $purpose)
  AND ($survey IS NULL OR q.survey = $survey)
  AND h.source IS DISTINCT FROM 'human' AND p.domain = 'in' AND p.test_set IS NULL AND p.firewall IS NULL
QUALIFY row_number() OVER (PARTITION BY o.survey, o.object_id ORDER BY q.run, q.place) = 1
ORDER BY q.run, q.place
LIMIT $n
