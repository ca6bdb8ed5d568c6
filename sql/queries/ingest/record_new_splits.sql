-- Record splits that are stated for objects with another split, or with this one by default. The latest split counts,
-- but calibration stays calibration.
INSERT INTO splits BY NAME
SELECT $survey AS survey, n.object_id, n.split, true AS stated, $round AS round, $run AS run
FROM news AS n
JOIN standing_splits_at() AS s ON s.survey = $survey AND s.object_id = n.object_id
WHERE n.split IS NOT NULL AND s.split <> 'calibration' AND (n.split <> s.split OR NOT coalesce(s.stated, false))
ORDER BY n.object_id
