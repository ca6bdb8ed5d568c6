-- Objects to which the two catalogues give different classes, our most confident ones first.
SELECT survey, object_id, ours, confidence, theirs, mag_r, radius_arcsec
FROM compared
WHERE ours <> theirs
ORDER BY confidence DESC NULLS LAST, object_id
LIMIT $n
