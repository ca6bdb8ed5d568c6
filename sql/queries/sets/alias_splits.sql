-- What catalogued objects are for, from their images: where nobody has said it of the object (of several images the
-- nearest that says so), and where it was said of an image after both had been told to be one. An image that calibrates
-- makes its object calibrate, and nothing takes that away. What a rule made of the object after the image was identified
-- stands: it had seen what the image says.
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
