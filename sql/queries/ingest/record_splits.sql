-- Splits of new images. What an object is for already gives way only to a split that is stated, and calibration to none:
-- what has certified promotions must not be trained on later. That somebody stated what was a default is recorded too.
INSERT INTO splits BY NAME
SELECT i.survey, i.object_id, i.split, i.stated, $round AS round, $run AS run
FROM incoming AS i
LEFT JOIN standing_splits_at() AS s ON s.survey = i.survey AND s.object_id = i.object_id
WHERE s.split IS NULL
   OR (i.stated AND s.split <> 'calibration' AND (i.split <> s.split OR NOT coalesce(s.stated, false)))
ORDER BY i.survey, i.object_id
