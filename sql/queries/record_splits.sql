-- Splits of new images. What an object is for already gives way only to a split that is stated, and calibration to none:
-- what has certified promotions must not be trained on later.
INSERT INTO splits BY NAME
SELECT i.survey, i.object_id, i.split, $round AS round, $run AS run
FROM incoming AS i
LEFT JOIN standing_splits_at(2147483647) AS s ON s.survey = i.survey AND s.object_id = i.object_id
WHERE s.split IS NULL OR (i.stated AND i.split <> s.split AND s.split <> 'calibration')
ORDER BY i.survey, i.object_id
