-- Positions of the wanted objects of a survey, also of images of catalogued objects, and the kind of file they are
-- from.
SELECT o.object_id, o.ra, o.dec, o.origin
FROM objects AS o
SEMI JOIN wanted AS w ON w.object_id = o.object_id
ANTI JOIN revisions AS r
    ON r.table_name = 'objects' AND r.survey = o.survey AND r.object_id = o.object_id AND r.replaced_run = o.run
WHERE o.survey = $survey
