-- All columns of the DES catalogue for the sampled objects (`restricted_to`).
SELECT * FROM des_sources ORDER BY survey, object_id
