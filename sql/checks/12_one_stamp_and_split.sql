-- Every object has at most one current stamp and one current split.
-- Object by object.
SELECT format('{} {} has {} current stamps', survey, object_id, count(*))
FROM standing_stamps_at() GROUP BY survey, object_id HAVING count(*) > 1
UNION ALL
SELECT format('{} {} has {} current splits', survey, object_id, count(*))
FROM standing_splits_at() GROUP BY survey, object_id HAVING count(*) > 1
ORDER BY ALL
