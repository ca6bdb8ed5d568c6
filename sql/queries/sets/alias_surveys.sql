-- Images with a position that stand for themselves yet, in each survey, and whether it has a catalogue to look in.
SELECT survey, count(*) FILTER (origin = 'images') AS images, bool_or(origin <> 'images') AS has_catalogue
FROM standing_objects_at()
WHERE healpix IS NOT NULL
GROUP BY survey
ORDER BY survey
