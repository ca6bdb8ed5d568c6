-- Objects for which an image table (`measured`) states values that the catalogue lacks. This is a temporary table,
-- because the rows written afterwards must not change which objects these are.
CREATE OR REPLACE TEMP TABLE measured_objects AS
SELECT m.*, o.run AS replaced_run
FROM measured AS m
JOIN standing_objects_at() AS o ON o.survey = m.survey AND o.object_id = m.object_id
WHERE (o.name IS NULL AND m.name IS NOT NULL) OR (o.mag_g IS NULL AND m.mag_g IS NOT NULL)
   OR (o.mag_r IS NULL AND m.mag_r IS NOT NULL) OR (o.mag_i IS NULL AND m.mag_i IS NOT NULL)
   OR (o.radius_arcsec IS NULL AND m.radius_arcsec IS NOT NULL) OR (o.domain IS NULL AND m.domain IS NOT NULL)
