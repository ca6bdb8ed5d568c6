-- Objects for the mosaics of some rounds: the most and least confident promotions of each class, retractions, and objects
-- drawn for audits.
WITH promoted AS (
    SELECT round, label, survey, object_id, confidence FROM labels
    WHERE source = 'promoted' AND kind = 'label' AND round = model AND list_contains($rounds::INTEGER[], round)),
retracted AS (
    SELECT round, label, survey, object_id, confidence FROM labels
    WHERE source = 'promoted' AND kind = 'retraction' AND list_contains($rounds::INTEGER[], round)),
audited AS (
    SELECT q.round, c.class AS label, q.survey, q.object_id, CAST(NULL AS FLOAT) AS confidence, q.place
    FROM queue AS q JOIN certificates AS c ON c.certificate = q.certificate
    WHERE q.strategy = 'audit' AND list_contains($rounds::INTEGER[], q.round))
SELECT 'surest' AS part, *,
       row_number() OVER (PARTITION BY round, label ORDER BY confidence DESC, survey, object_id) AS place
FROM promoted QUALIFY place <= $n
UNION ALL
SELECT 'least sure' AS part, *,
       row_number() OVER (PARTITION BY round, label ORDER BY confidence, survey, object_id) AS place
FROM promoted QUALIFY place <= $n
UNION ALL
SELECT 'taken back' AS part, *,
       row_number() OVER (PARTITION BY round ORDER BY confidence NULLS LAST, survey, object_id) AS place
FROM retracted QUALIFY place <= $n
UNION ALL
SELECT 'audited' AS part, * EXCLUDE (place), row_number() OVER (PARTITION BY round ORDER BY place, label) AS place
FROM audited QUALIFY place <= $n
ORDER BY round, part, label, place
