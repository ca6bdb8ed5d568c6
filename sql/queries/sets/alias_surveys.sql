-- The number of images with a position that are no aliases yet, in each survey, and whether it has catalogued objects.
SELECT survey, count(*) FILTER (origin = 'images') AS images, bool_or(origin <> 'images') AS has_catalogue
FROM standing_objects_at()
WHERE healpix IS NOT NULL
GROUP BY survey
ORDER BY survey
