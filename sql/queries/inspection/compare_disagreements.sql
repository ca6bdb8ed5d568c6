-- Where the two differ, those first that we are surest of.
SELECT survey, object_id, ours, confidence, theirs, mag_r, radius_arcsec
FROM compared
WHERE ours <> theirs
ORDER BY confidence DESC NULLS LAST, object_id
LIMIT $n
