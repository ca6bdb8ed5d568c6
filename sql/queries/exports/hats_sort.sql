-- Rows with a position, sorted by cell; survey and id break ties.
SELECT * FROM selected_rows WHERE _healpix_29 >= 0 ORDER BY _healpix_29, survey, object_id
