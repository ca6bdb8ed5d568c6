-- What has a position, in the order of the sky; ids settle what lies in one cell.
SELECT * FROM selected_rows WHERE _healpix_29 >= 0 ORDER BY _healpix_29, survey, object_id
