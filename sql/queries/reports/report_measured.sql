-- Everything that the DES catalogue measured of the objects that the lens shows.
SELECT * FROM des_sources ORDER BY survey, object_id
