-- Objects of a survey, among those in `chosen`, that have a position and no complete stamp. A stamp that lacks pixels
-- may be replaced; a blank one is complete. Test objects are among them, because images are also for scoring.
SELECT o.object_id, o.ra, o.dec, o.radius_arcsec, o.name IS NOT NULL AS named
FROM standing_objects_at() AS o
JOIN chosen AS c ON c.survey = o.survey AND c.object_id = o.object_id
ANTI JOIN (
    SELECT survey, object_id FROM standing_stamps_at()
    WHERE shard IS NOT NULL AND NOT list_has_any(string_split(quality, ','), ['masked', 'truncated'])
) AS s ON s.survey = o.survey AND s.object_id = o.object_id
WHERE o.survey = $survey AND o.ra IS NOT NULL AND o.dec IS NOT NULL
ORDER BY o.object_id
LIMIT $n
