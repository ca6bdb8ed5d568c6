-- The objects of one list: as they were asked about, and what they stand for where they are images of another.
SELECT DISTINCT survey, object_id FROM queue WHERE strategy = $strategy AND run = $run
UNION
SELECT a.survey, a.of_object_id FROM aliases AS a
SEMI JOIN (SELECT survey, object_id FROM queue WHERE strategy = $strategy AND run = $run) AS q
    ON q.survey = a.survey AND q.object_id = a.object_id
