-- Every object has one stamp and one split that no newer one replaces.
-- Object by object.
SELECT format('{} {} has {} stamps that stand', survey, object_id, count(*))
FROM standing_stamps_at() GROUP BY survey, object_id HAVING count(*) > 1
UNION ALL
SELECT format('{} {} has {} splits that stand', survey, object_id, count(*))
FROM standing_splits_at() GROUP BY survey, object_id HAVING count(*) > 1
ORDER BY ALL
