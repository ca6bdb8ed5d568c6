-- The objects of both catalogues, with what each says; read under a lens. The slots take our class, how sure we are of it,
-- and a condition of the user's.
SELECT c.survey, c.object_id, {ours} AS ours, {confidence} AS confidence, t.label AS theirs, c.mag_r, c.radius_arcsec
FROM (SELECT * FROM catalog_at($at) WHERE survey = $survey AND ({where}
)) AS c
JOIN counterparts AS t ON t.object_id = c.object_id
