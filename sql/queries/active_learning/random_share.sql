-- One of so many equal parts of the catalogue, chosen by a hash that is quick: of 30 million objects MD5 takes 20 s.
SELECT survey, object_id
FROM objects
WHERE hash($key, survey, object_id) % $parts = 0 AND ($survey IS NULL OR survey = $survey)
