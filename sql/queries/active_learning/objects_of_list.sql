-- The objects of one list, as they were selected and, for images of a catalogued object, that object.
SELECT DISTINCT survey, object_id FROM queue WHERE strategy = $strategy AND run = $run
UNION
SELECT a.survey, a.of_object_id FROM aliases AS a
SEMI JOIN (SELECT survey, object_id FROM queue WHERE strategy = $strategy AND run = $run) AS q
    ON q.survey = a.survey AND q.object_id = a.object_id
