-- Of these objects, those that nobody has said the purpose of.
SELECT f.object_id
FROM fetched AS f
ANTI JOIN (SELECT object_id FROM standing_splits_at(2147483647) WHERE survey = $survey AND split IS NOT NULL) AS d
    ON d.object_id = f.object_id
