-- Pairs of the batch and the larger side within the radius. The haversine formula keeps its precision at small angles,
-- at RA 0/360 and at the poles. The join runs as written: the batch, on the right, is the hash table, and the larger
-- side is streamed past it.
INSERT INTO candidates
SELECT CASE WHEN $small_is_a THEN small_id ELSE large_id END, CASE WHEN $small_is_a THEN large_id ELSE small_id END,
       separation_arcsec
FROM (
    SELECT s.object_id AS small_id, l.object_id AS large_id,
           7200 * degrees(asin(sqrt(sin(radians(l.dec - s.dec) / 2) ** 2
               + cos(radians(l.dec)) * cos(radians(s.dec)) * sin(radians(l.ra - s.ra) / 2) ** 2))) AS separation_arcsec
    FROM standing_objects_at() AS l
    JOIN small_cells AS s ON s.cell = l.healpix >> $shift
    WHERE l.survey = $survey AND l.healpix IS NOT NULL AND ($origins IS NULL OR list_contains($origins, l.origin)))
WHERE separation_arcsec <= $radius_arcsec
