-- Insert the objects that the catalogue does not have.
INSERT INTO objects BY NAME
SELECT $survey AS survey, a.object_id, a.ra, a.dec, healpix_cell(a.ra, a.dec) AS healpix,
       a.mag_g, a.mag_r, a.mag_i, a.radius_arcsec, $kind AS origin, $round AS round, $run AS run
FROM accepted AS a ANTI JOIN known AS k ON k._record = a._record
{order}
