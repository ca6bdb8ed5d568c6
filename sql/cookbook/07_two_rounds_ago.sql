-- The catalogue as of the end of round 1
-- `catalog_at(r)` is the catalogue as it stood when round r closed; it never changes afterwards.
SELECT now.survey, now.object_id, coalesce(before.label, before.predicted_label) AS in_round_1,
       coalesce(now.label, now.predicted_label) AS now
FROM catalog AS now
JOIN catalog_at(1) AS before ON before.survey = now.survey AND before.object_id = now.object_id
WHERE now.model IS NOT NULL
ORDER BY now.survey, now.object_id
LIMIT 10;
