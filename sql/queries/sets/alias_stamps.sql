-- Stamps to copy from images to the objects they show, if these have no readable stamp: a good one before others, then
-- the nearest. Only stamps of aliases and their objects are read, because a survey has millions of others.
WITH standing AS (
    SELECT s.* FROM stamps AS s
    SEMI JOIN (SELECT survey, object_id FROM standing_aliases_at() UNION ALL SELECT survey, of_object_id FROM standing_aliases_at()) AS named
        ON named.survey = s.survey AND named.object_id = s.object_id
    QUALIFY row_number() OVER (PARTITION BY s.survey, s.object_id ORDER BY s.run DESC) = 1)
SELECT a.survey, a.of_object_id AS object_id, s.* EXCLUDE (survey, object_id, round, run)
FROM standing_aliases_at() AS a
JOIN standing AS s ON s.survey = a.survey AND s.object_id = a.object_id AND s.shard IS NOT NULL
ANTI JOIN (SELECT survey, object_id FROM standing WHERE shard IS NOT NULL) AS own
    ON own.survey = a.survey AND own.object_id = a.of_object_id
QUALIFY row_number() OVER (PARTITION BY a.survey, a.of_object_id
                           ORDER BY s.quality = 'ok' DESC, a.separation_arcsec, a.object_id) = 1
ORDER BY a.survey, a.of_object_id
