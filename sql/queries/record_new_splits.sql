-- Splits stated for objects that have another one; the latest stands, but calibration stays calibration.
INSERT INTO splits BY NAME
SELECT $survey AS survey, n.object_id, n.split, $round AS round, $run AS run
FROM stated AS n
JOIN standing_splits_at(2147483647) AS s ON s.survey = $survey AND s.object_id = n.object_id
WHERE n.split <> s.split AND s.split <> 'calibration'
ORDER BY n.object_id
