-- Errors in the certificates of a round: objects that it counted but must not, or with another true class or half than the
-- catalogue then had; objects that it had to count and did not; promotions outside their certificate, of objects with a
-- promoted label, and, where the whole pool was certified anew, missing ones; cuts that differ
-- from their certificate; and calibrated confidences that differ from what the calibrator gives.
WITH could AS (
    SELECT c.survey, c.object_id, c.half, c.truth FROM calibration_at($round) AS c
    JOIN predictions AS p ON p.survey = c.survey AND p.object_id = c.object_id AND p.model = $round AND p.round = $round
    SEMI JOIN left_at($round, $target) AS t ON t.survey = c.survey AND t.object_id = c.object_id
    WHERE c.survey = $target AND c.truth IS NOT NULL),
counted AS (SELECT * FROM calibration WHERE round = $round)
SELECT CASE WHEN a.object_id IS NULL THEN format('round {} counted {} {}, which must not count as a calibration object', $round, c.survey, c.object_id)
            WHEN a.half <> c.half THEN format('round {} counted {} {} in the wrong half', $round, c.survey, c.object_id)
            ELSE format('round {} counted {} {} as {}, and its true class was another one then', $round, c.survey, c.object_id, c.truth) END
FROM counted AS c LEFT JOIN could AS a ON a.survey = c.survey AND a.object_id = c.object_id
WHERE a.object_id IS NULL OR a.half <> c.half OR a.truth IS DISTINCT FROM c.truth
UNION ALL
SELECT format('round {} left out the calibration object {} {}', $round, a.survey, a.object_id)
FROM could AS a
ANTI JOIN counted AS c ON c.survey = a.survey AND c.object_id = a.object_id
-- an object that became a test object, or near to one, while the round ran is rightly left out
SEMI JOIN calibration_at() AS n ON n.survey = a.survey AND n.object_id = a.object_id
UNION ALL
SELECT format('event {}: {} {} does not reach its certificate {}', l.event, l.survey, l.object_id, l.certificate)
FROM labels AS l
LEFT JOIN certificates AS c ON c.certificate = l.certificate AND c.verdict = 'certified'
LEFT JOIN predictions AS p ON p.survey = l.survey AND p.object_id = l.object_id AND p.model = $round
WHERE l.round = $round AND l.kind = 'label' AND l.source = 'promoted' AND l.model = $round
  AND NOT coalesce(l.label = c.class AND p.predicted_label = c.class AND l.survey = c.survey
                   AND p.calibrated_confidence >= c.threshold::FLOAT
                   AND uniform_draw(share_of($round), l.survey, l.object_id) < c.share, false)
UNION ALL
SELECT format('round {} did not promote {} {}, which certificate {} covers', $round, b.survey, b.object_id, b.certificate)
FROM covered_at($round, $target) AS b
ANTI JOIN labels AS l ON l.survey = b.survey AND l.object_id = b.object_id AND l.round = $round AND l.kind = 'retraction'
WHERE only_asserts($round) AND b.label IS NULL
UNION ALL
SELECT format('event {}: {} {} has a promoted label already, of event {}', l.event, l.survey, l.object_id, e.event)
FROM labels AS l
JOIN labels AS e ON e.survey = l.survey AND e.object_id = l.object_id AND e.event < l.event
    AND e.kind = 'label' AND e.source = 'promoted'
WHERE l.round = $round AND l.kind = 'label' AND l.source = 'promoted' AND l.certificate IS NOT NULL
  AND e.event NOT IN (SELECT retracts FROM labels WHERE retracts IS NOT NULL)
UNION ALL
SELECT format('the recorded cut of certificate {} differs from the certificate', c.certificate)
FROM certificates AS c
LEFT JOIN promotion_cuts AS k ON k.round = c.round AND k.certificate = c.certificate
WHERE c.round = $round AND c.verdict = 'certified'
  AND NOT coalesce(k.survey = c.survey AND k.class = c.class AND k.score = 'calibrated' AND k.threshold = c.threshold::FLOAT
                   AND k.share = c.share, false)
UNION ALL
SELECT format('{} {}: the calibrated confidence of model {} differs from what its calibrator gives', survey, object_id, $round)
FROM (
    SELECT p.survey, p.object_id, p.calibrated_confidence,
           list_transform(p.posterior, lambda q, i: k.scale[i] * ln(greatest(q::DOUBLE, 1e-30)) + k.shift[i]) AS logit
    FROM (SELECT *, list_value(*COLUMNS('^p_')) AS posterior FROM predictions WHERE model = $round) AS p
    JOIN calibrators AS k ON k.model = p.model)
WHERE NOT coalesce(abs(1 / list_sum(list_transform(logit, lambda z: exp(z - list_max(logit)))) - calibrated_confidence) < 1e-5, false)
  -- only with temperature scaling: vector scaling may rank another class first
  AND (SELECT method FROM calibrators WHERE model = $round) = 'temperature'
