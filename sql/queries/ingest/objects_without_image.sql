-- Objects of a survey that have a position and no whole stamp, of those chosen. A stamp that lacks pixels is of no use
-- and may be replaced; a blank one is all that there is. Test objects are among them: an image is for scoring too.
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
