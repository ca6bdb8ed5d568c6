-- Audits whose answers have changed since their last row: the certificate's bound, and the counts of answers now. A
-- label of a catalogued object counts for its images too. If a person could not classify an object, and nobody else has,
-- its promoted label counts as wrong, as among calibration objects.
WITH answers AS (
    SELECT q.certificate, count(*) AS sampled,
           count(*) FILTER (h.label IS NOT NULL OR u.object_id IS NOT NULL) AS answered,
           count(*) FILTER (h.label <> c.class OR (h.label IS NULL AND u.object_id IS NOT NULL)) AS wrong
    FROM queue AS q
    JOIN certificates AS c ON c.certificate = q.certificate
    LEFT JOIN standing_aliases_at() AS a ON a.survey = q.survey AND a.object_id = q.object_id
    LEFT JOIN standing_labels_at() AS h
        ON h.survey = q.survey AND h.object_id = coalesce(a.of_object_id, q.object_id) AND h.source = 'human'
    LEFT JOIN unsure_at() AS u
        ON u.survey = q.survey AND u.object_id = coalesce(a.of_object_id, q.object_id)
    WHERE q.strategy = 'audit'
    GROUP BY q.certificate),
last AS (
    SELECT certificate, arg_max(answered, run) AS answered, arg_max(wrong, run) AS wrong,
           bool_or(verdict = 'broken') AS broken
    FROM audits GROUP BY certificate)
SELECT c.certificate, c.n, c.errors, c.batch, c.batch_errors, c.delta, len(c.grid) AS grid,
       CAST(r.plan ->> '$.recipe.certificate.delta' AS DOUBLE) AS level,
       n.sampled, n.answered, n.wrong, last.broken
FROM answers AS n
JOIN last ON last.certificate = n.certificate
JOIN certificates AS c ON c.certificate = n.certificate
JOIN rounds AS r ON r.round = c.round
WHERE (n.answered, n.wrong) <> (last.answered, last.wrong)
ORDER BY c.round, c.certificate
