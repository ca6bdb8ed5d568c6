-- Objects drawn for an audit that nobody has answered yet, without what was predicted, in an order that tells nothing.
-- Of a batch that is broken, or of which no label is left, nobody needs to be asked.
SELECT q.survey, o.object_id, o.name, o.ra, o.dec, s.file, CAST(NULL AS VARCHAR) AS label,
       CAST(NULL AS VARCHAR) AS annotator
FROM queue AS q
LEFT JOIN standing_aliases_at(2147483647) AS a ON a.survey = q.survey AND a.object_id = q.object_id
JOIN standing_objects_at(2147483647) AS o
    ON o.survey = q.survey AND o.object_id = coalesce(a.of_object_id, q.object_id)
LEFT JOIN standing_stamps_at(2147483647) AS s ON s.survey = o.survey AND s.object_id = o.object_id
LEFT JOIN standing_labels_at(2147483647) AS h ON h.survey = o.survey AND h.object_id = o.object_id
WHERE q.strategy = 'audit' AND h.source IS DISTINCT FROM 'human'
  AND q.certificate NOT IN (SELECT certificate FROM audits WHERE verdict = 'broken')
  AND q.certificate IN (
      SELECT certificate FROM labels
      WHERE kind = 'label' AND source = 'promoted' AND certificate IS NOT NULL
        AND event NOT IN (SELECT retracts FROM labels WHERE retracts IS NOT NULL))
-- promoted again after a rollback, an object may be drawn twice
QUALIFY row_number() OVER (PARTITION BY o.survey, o.object_id ORDER BY q.round, q.place) = 1
ORDER BY q.round, q.place
LIMIT $n
