-- The questions of one list in order, with this annotator's answer: a class, 'unsure', or NULL. No prediction. Objects
-- that have become test objects, or are too close to one, are left out.
SELECT o.survey, o.object_id, o.name, o.ra, o.dec, s.shard, s.row, h.answer
FROM queue AS q
LEFT JOIN standing_aliases_at() AS a ON a.survey = q.survey AND a.object_id = q.object_id
JOIN standing_objects_at() AS o
    ON o.survey = q.survey AND o.object_id = coalesce(a.of_object_id, q.object_id)
JOIN places_at() AS p ON p.survey = o.survey AND p.object_id = o.object_id
LEFT JOIN standing_stamps_at() AS s ON s.survey = o.survey AND s.object_id = o.object_id
LEFT JOIN (
    SELECT survey, object_id, arg_max(coalesce(label, kind), event) AS answer FROM labels
    WHERE source = 'human' AND annotator = $annotator AND kind IN ('label', 'unsure')
      AND event NOT IN (SELECT retracts FROM labels WHERE retracts IS NOT NULL)
    GROUP BY survey, object_id) AS h ON h.survey = o.survey AND h.object_id = o.object_id
WHERE q.strategy = $strategy AND q.run = $run AND p.test_set IS NULL AND p.firewall IS NULL
-- an image and its object, or a batch that was promoted twice, are asked about once
QUALIFY row_number() OVER (PARTITION BY o.survey, o.object_id ORDER BY q.place) = 1
ORDER BY q.place
