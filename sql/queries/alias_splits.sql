-- What catalogued objects are for, where nobody has said it of them but of their nearest image.
WITH standing AS (
    SELECT s.survey, s.object_id, s.split FROM splits AS s
    SEMI JOIN aliases AS a ON a.survey = s.survey AND a.object_id = s.object_id
    QUALIFY row_number() OVER (PARTITION BY s.survey, s.object_id ORDER BY s.run DESC) = 1)
SELECT a.survey, a.of_object_id AS object_id, s.split
FROM aliases AS a
JOIN standing AS s ON s.survey = a.survey AND s.object_id = a.object_id
ANTI JOIN splits AS own ON own.survey = a.survey AND own.object_id = a.of_object_id
QUALIFY row_number() OVER (PARTITION BY a.survey, a.of_object_id ORDER BY a.separation_arcsec, a.object_id) = 1
ORDER BY a.survey, a.of_object_id
