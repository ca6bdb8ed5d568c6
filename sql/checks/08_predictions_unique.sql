-- A model scores an object once, and its posterior sums to one.
-- Object by object.
SELECT format('{} {}: {} scores by model {}', survey, object_id, count(*), model)
FROM predictions GROUP BY survey, object_id, model HAVING count(*) > 1
UNION ALL
SELECT format('{} {}: the posterior of model {} sums to {}', survey, object_id, model, list_sum(posterior))
FROM (SELECT *, list_value(*COLUMNS('^p_')) AS posterior FROM predictions)
WHERE abs(list_sum(posterior) - 1) > 1e-4
ORDER BY ALL
