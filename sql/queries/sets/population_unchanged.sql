-- Whether the latest population of the survey is this one, applied after the last change of its catalogued objects.
SELECT p.sha256 = $sha256
       AND p.run > coalesce((SELECT max(run) FROM objects WHERE survey = $survey AND origin <> 'images'), 0)
       AND p.run > coalesce((SELECT max(run) FROM des_coadd WHERE survey = $survey), 0)
       AND p.run > coalesce((SELECT max(run) FROM aliases WHERE survey = $survey), 0)
FROM populations AS p
WHERE p.survey = $survey
ORDER BY p.run DESC
LIMIT 1
