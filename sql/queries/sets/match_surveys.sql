-- Surveys that hold objects with a position.
SELECT DISTINCT survey FROM standing_objects_at(2147483647) WHERE healpix IS NOT NULL
