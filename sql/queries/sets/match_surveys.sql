-- Surveys that hold objects with a position.
SELECT DISTINCT survey FROM standing_objects_at() WHERE healpix IS NOT NULL
