-- Insert new objects, sorted so that a search by id reads few row groups. An object keeps the row it has.
INSERT INTO objects BY NAME
SELECT i.survey, i.object_id, i.name, i.ra, i.dec, i.healpix, i.mag_g, i.mag_r, i.mag_i, i.radius_arcsec,
       i.domain, 'images' AS origin, $round AS round, $run AS run
FROM incoming AS i
ANTI JOIN objects AS o ON o.survey = i.survey AND o.object_id = i.object_id
ORDER BY i.survey, i.object_id
