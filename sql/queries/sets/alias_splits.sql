-- Splits to copy from images to the objects they show: where nobody has stated a split of the object (of several images
-- the nearest with a stated one), and where a split was stated of an image after it became an alias. An image in
-- calibration puts its object in calibration for good. A split that a rule gave to the object after the image became an
-- alias stands, because the rule had seen the image's split.
WITH standing AS (
    SELECT s.survey, s.object_id, s.split, coalesce(s.stated, false) AS stated, s.run FROM splits AS s
    SEMI JOIN (SELECT survey, object_id FROM standing_aliases_at() UNION ALL SELECT survey, of_object_id FROM standing_aliases_at()) AS named
        ON named.survey = s.survey AND named.object_id = s.object_id
    QUALIFY row_number() OVER (PARTITION BY s.survey, s.object_id ORDER BY s.run DESC) = 1)
SELECT a.survey, a.of_object_id AS object_id, s.split, s.stated
FROM standing_aliases_at() AS a
JOIN standing AS s ON s.survey = a.survey AND s.object_id = a.object_id
LEFT JOIN standing AS own ON own.survey = a.survey AND own.object_id = a.of_object_id
WHERE own.split IS NULL
   OR (own.split <> 'calibration'
       AND (s.split = 'calibration'
            OR (s.stated AND own.stated AND s.split <> own.split AND s.run > greatest(a.run, own.run))
            OR (s.stated AND NOT own.stated AND greatest(a.run, s.run) > own.run)))
QUALIFY row_number() OVER (
    PARTITION BY a.survey, a.of_object_id
    ORDER BY s.split = 'calibration' DESC, s.stated DESC, a.separation_arcsec, a.object_id) = 1
ORDER BY a.survey, a.of_object_id
