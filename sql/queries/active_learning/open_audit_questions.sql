-- Objects of open audits without an answer, without any prediction, in an order that does not depend on one. Objects
-- that have become test objects, or are too close to one, are left out.
SELECT q.survey, o.object_id, o.name, o.ra, o.dec, s.file, CAST(NULL AS VARCHAR) AS label,
       CAST(NULL AS VARCHAR) AS annotator
FROM queue AS q
LEFT JOIN standing_aliases_at() AS a ON a.survey = q.survey AND a.object_id = q.object_id
JOIN standing_objects_at() AS o
    ON o.survey = q.survey AND o.object_id = coalesce(a.of_object_id, q.object_id)
JOIN places_at() AS p ON p.survey = o.survey AND p.object_id = o.object_id
ANTI JOIN unsure_at() AS u ON u.survey = o.survey AND u.object_id = o.object_id
LEFT JOIN standing_stamps_at() AS s ON s.survey = o.survey AND s.object_id = o.object_id
LEFT JOIN standing_labels_at() AS h ON h.survey = o.survey AND h.object_id = o.object_id
WHERE q.strategy = 'audit' AND h.source IS DISTINCT FROM 'human'
  AND p.test_set IS NULL AND p.firewall IS NULL
  AND q.certificate IN (SELECT certificate FROM temp.batches)
-- promoted again after a rollback, an object may be drawn twice
QUALIFY row_number() OVER (PARTITION BY o.survey, o.object_id ORDER BY q.round, q.place) = 1
ORDER BY q.round, q.place
LIMIT $n
