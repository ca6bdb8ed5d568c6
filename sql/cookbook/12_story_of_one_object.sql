-- Every label event of one object, in order
-- Here of the object with most events; put in your own survey and object_id. `catbuilder why ID` tells more.
SELECT event, round, kind, label, source, annotator, confidence, reason
FROM labels
WHERE (survey, object_id) = (SELECT (survey, object_id) FROM labels GROUP BY survey, object_id
                             ORDER BY count(*) DESC, survey, object_id LIMIT 1)
ORDER BY event;
