-- The number of objects on one side of a match.
SELECT count(*) FROM standing_objects_at()
WHERE survey = $survey AND healpix IS NOT NULL AND ($origins IS NULL OR list_contains($origins, origin))
