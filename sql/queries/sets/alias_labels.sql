-- Labels to copy from images to the objects they show: the latest label of each source and annotator that has not
-- labelled the object itself; of several images, that of the nearest. A label given to an image after it became an alias
-- and after the object's own label replaces the object's. Promoted labels are not copied, because the object is scored
-- again.
WITH asserted AS (
    SELECT l.* FROM labels AS l
    SEMI JOIN (SELECT survey, object_id FROM standing_aliases_at() UNION ALL SELECT survey, of_object_id FROM standing_aliases_at()) AS named
        ON named.survey = l.survey AND named.object_id = l.object_id
    WHERE kind = 'label' AND source <> 'promoted'
      AND event NOT IN (SELECT retracts FROM labels WHERE retracts IS NOT NULL)
    QUALIFY row_number() OVER (PARTITION BY l.survey, l.object_id, source, annotator ORDER BY event DESC) = 1)
SELECT a.survey, a.of_object_id AS object_id, 'label' AS kind, l.label, l.confidence, l.source, l.annotator,
       NULL AS model, NULL AS certificate,
       format('given to image {}, which shows it {:.2f} arcsec away', a.object_id, a.separation_arcsec)
       || coalesce(': ' || l.reason, '') AS reason,
       NULL AS retracts
FROM standing_aliases_at() AS a
JOIN asserted AS l ON l.survey = a.survey AND l.object_id = a.object_id
LEFT JOIN asserted AS own
    ON own.survey = a.survey AND own.object_id = a.of_object_id AND own.source = l.source
    AND own.annotator IS NOT DISTINCT FROM l.annotator
WHERE own.event IS NULL OR (l.event > own.event AND l.run > a.run AND l.label <> own.label)
QUALIFY row_number() OVER (PARTITION BY a.survey, a.of_object_id, l.source, l.annotator
                           ORDER BY a.separation_arcsec, a.object_id) = 1
ORDER BY a.survey, a.of_object_id, l.event
