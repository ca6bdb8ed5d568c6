-- Take stamps out of use whose stated position is far from the archive's position of the same id: they show another
-- object. Each gets a new row without an image.
INSERT INTO stamps BY NAME
SELECT s.* REPLACE (CAST(NULL AS VARCHAR) AS shard, CAST(NULL AS INTEGER) AS row, 'misplaced' AS quality,
                    format('its position is {:.1f} arcsec from the catalogue''s position of this id; '
                           'give the image under its right id', k.moved_arcsec) AS reason,
                    $round AS round, $run AS run)
FROM (SELECT object_id, moved_arcsec FROM known WHERE moved_arcsec > $far_arcsec) AS k
JOIN (SELECT * FROM standing_stamps_at() WHERE survey = $survey) AS s ON s.object_id = k.object_id
ORDER BY s.object_id
