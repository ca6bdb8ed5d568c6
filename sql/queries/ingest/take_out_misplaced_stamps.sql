-- Stamps of images whose stated position lies far from the archive's of the same id: they show another object, and are
-- taken out of use by a new row without a picture.
INSERT INTO stamps BY NAME
SELECT s.* REPLACE (CAST(NULL AS VARCHAR) AS shard, CAST(NULL AS INTEGER) AS row, 'misplaced' AS quality,
                    format('its position lies {:.1f} arcsec from where the catalogue has this id; '
                           'give the image under its right id', k.moved_arcsec) AS reason,
                    $round AS round, $run AS run)
FROM (SELECT object_id, moved_arcsec FROM known WHERE moved_arcsec > $far_arcsec) AS k
JOIN (SELECT * FROM standing_stamps_at() WHERE survey = $survey) AS s ON s.object_id = k.object_id
ORDER BY s.object_id
