-- Insert new rows of objects that this file knows better, or is to update; columns that the file lacks keep their
-- values.
INSERT INTO objects BY NAME
SELECT $survey AS survey, a.object_id, o.name, a.ra, a.dec, healpix_cell(a.ra, a.dec) AS healpix,
       {magnitudes}, k.radius_arcsec, o.domain, $kind AS origin, $round AS round, $run AS run
FROM (SELECT _record, object_id, object_run, radius_arcsec FROM known
      WHERE weaker OR ($update AND object_differs)) AS k
JOIN accepted AS a ON a._record = k._record
JOIN (SELECT * FROM objects WHERE survey = $survey) AS o ON o.object_id = k.object_id AND o.run = k.object_run
ORDER BY a.object_id
