-- Pairs of the batch and the other side, which streams by, within the radius. The haversine keeps its precision at
-- small angles, and RA 0/360 and the poles need no care. The join is run as it is written, with the batch, which stands
-- right, as the hash table.
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
