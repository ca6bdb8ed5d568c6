-- Excluded images, and the reasons
-- Empty if every image is good.
SELECT survey, quality, reason, count(*) AS stamps, min(file) AS for_instance
FROM standing_stamps_at()
WHERE quality <> 'ok'
GROUP BY ALL
ORDER BY stamps DESC, survey, quality, reason
LIMIT 20;
