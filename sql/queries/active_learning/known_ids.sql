-- Every id of a survey, with the catalogued object that it stands for: itself, or the object of which it is an image.
SELECT o.survey, o.object_id, coalesce(a.of_object_id, o.object_id) AS stands_for
FROM (SELECT DISTINCT survey, object_id FROM objects) AS o
LEFT JOIN (SELECT DISTINCT survey, object_id, of_object_id FROM standing_aliases_at()) AS a
    ON a.survey = o.survey AND a.object_id = o.object_id
