-- Insert rows with measurements that an image table states and the catalogue lacks. Origin and position stay those of
-- the current row, whichever file came first. `measured_objects` has the objects and the runs of their current rows.
INSERT INTO objects BY NAME
SELECT o.* REPLACE (
           coalesce(o.name, m.name) AS name, coalesce(o.mag_g, m.mag_g) AS mag_g, coalesce(o.mag_r, m.mag_r) AS mag_r,
           coalesce(o.mag_i, m.mag_i) AS mag_i, coalesce(o.radius_arcsec, m.radius_arcsec) AS radius_arcsec,
           coalesce(o.domain, m.domain) AS domain, $round AS round, $run AS run)
FROM objects AS o
JOIN measured_objects AS m ON m.survey = o.survey AND m.object_id = o.object_id AND m.replaced_run = o.run
ORDER BY o.survey, o.object_id
