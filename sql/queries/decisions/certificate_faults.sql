-- What a round counted although it must not, or with another truth or half than the catalogue then had; what it did not
-- count although it had to; promotions outside their certificate; and cuts that are not their certificate's.
WITH could AS (
    SELECT c.survey, c.object_id, c.half, c.truth FROM calibration_at($round) AS c
    JOIN predictions AS p ON p.survey = c.survey AND p.object_id = c.object_id AND p.model = $round AND p.round = $round
    SEMI JOIN left_at($round, $target) AS t ON t.survey = c.survey AND t.object_id = c.object_id
    WHERE c.survey = $target AND c.truth IS NOT NULL),
counted AS (SELECT * FROM calibration WHERE round = $round)
SELECT CASE WHEN a.object_id IS NULL THEN format('round {} counted {} {}, which is no calibration object that could stand for the pool', $round, c.survey, c.object_id)
            WHEN a.half <> c.half THEN format('round {} counted {} {} in the wrong half', $round, c.survey, c.object_id)
            ELSE format('round {} counted {} {} as {}, of another truth then', $round, c.survey, c.object_id, c.truth) END
FROM counted AS c LEFT JOIN could AS a ON a.survey = c.survey AND a.object_id = c.object_id
WHERE a.object_id IS NULL OR a.half <> c.half OR a.truth IS DISTINCT FROM c.truth
UNION ALL
SELECT format('round {} left out the calibration object {} {}', $round, a.survey, a.object_id)
FROM could AS a
ANTI JOIN counted AS c ON c.survey = a.survey AND c.object_id = a.object_id
-- what became a test object, or near to one, while the round ran was left out rightly
SEMI JOIN calibration_at() AS n ON n.survey = a.survey AND n.object_id = a.object_id
UNION ALL
SELECT format('event {}: {} {} does not reach its certificate {}', l.event, l.survey, l.object_id, l.certificate)
FROM labels AS l
LEFT JOIN certificates AS c ON c.certificate = l.certificate AND c.verdict = 'certified'
LEFT JOIN predictions AS p ON p.survey = l.survey AND p.object_id = l.object_id AND p.model = $round
WHERE l.round = $round AND l.kind = 'label' AND l.source = 'promoted' AND l.model = $round
  AND NOT coalesce(l.label = c.class AND p.predicted_label = c.class AND l.survey = c.survey
                   AND p.calibrated_confidence >= c.threshold::FLOAT
                   AND uniform_draw('share ' || $round, l.survey, l.object_id) < c.share, false)
UNION ALL
SELECT format('the cut of certificate {} is not the one that it certifies', c.certificate)
FROM certificates AS c
LEFT JOIN promotion_cuts AS k ON k.round = c.round AND k.certificate = c.certificate
WHERE c.round = $round AND c.verdict = 'certified'
  AND NOT coalesce(k.survey = c.survey AND k.class = c.class AND k.score = 'calibrated' AND k.threshold = c.threshold::FLOAT
                   AND k.share = c.share, false)
UNION ALL
SELECT format('{} {}: the calibrated confidence of model {} is not what its calibrator gives', survey, object_id, $round)
FROM (
    SELECT p.survey, p.object_id, p.calibrated_confidence,
           list_transform(p.posterior, lambda q, i: k.scale[i] * ln(greatest(q::DOUBLE, 1e-30)) + k.shift[i]) AS logit
    FROM (SELECT *, list_value(*COLUMNS('^p_')) AS posterior FROM predictions WHERE model = $round) AS p
    JOIN calibrators AS k ON k.model = p.model)
WHERE NOT coalesce(abs(1 / list_sum(list_transform(logit, lambda z: exp(z - list_max(logit)))) - calibrated_confidence) < 1e-5, false)
  -- vector scaling may rank another class first; temperature never does
  AND (SELECT method FROM calibrators WHERE model = $round) = 'temperature'
