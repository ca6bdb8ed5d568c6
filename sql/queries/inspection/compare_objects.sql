-- The objects of both catalogues and the class that each gives, for one range of ids. The slots take our class, our
-- confidence in it, and the user's condition.
SELECT c.survey, c.object_id, {ours} AS ours, {confidence} AS confidence, t.label AS theirs, c.mag_r, c.radius_arcsec
FROM (SELECT * FROM catalog_at($at) WHERE survey = $survey AND {condition}) AS c
JOIN counterparts AS t ON t.object_id = c.object_id
