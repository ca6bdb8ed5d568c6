-- The target population of DES DR2, which classifies stars and galaxies itself (EXTENDED_CLASS_COADD).
-- Copy this file, change it, and name it in a recipe: [sets] population = "mine.sql". It is one SELECT of object_id,
-- domain and reason for every object of $survey. Only 'in' is ever promoted. What was not measured gives 'unknown'.
SELECT object_id, domain,
       CASE domain
           WHEN 'artefact' THEN CASE
               WHEN flags_g >= 4 OR flags_r >= 4 OR flags_i >= 4 THEN 'saturated, cut off or damaged (FLAGS of 4 or more)'
               ELSE 'bad pixels (IMAFLAGS_ISO)' END
           WHEN 'unknown' THEN 'not measured: ' || concat_ws(', ',
               CASE WHEN flags_g IS NULL OR flags_r IS NULL OR flags_i IS NULL THEN 'FLAGS' END,
               CASE WHEN imaflags_iso_g IS NULL OR imaflags_iso_r IS NULL OR imaflags_iso_i IS NULL THEN 'IMAFLAGS_ISO' END,
               CASE WHEN coalesce(extended_class_coadd, -9) < 0 THEN 'EXTENDED_CLASS_COADD' END,
               CASE WHEN radius_arcsec IS NULL THEN 'KRON_RADIUS or A_IMAGE' END,
               CASE WHEN mag_r IS NULL THEN 'MAG_AUTO_R' END)
           WHEN 'star' THEN 'a point source (EXTENDED_CLASS_COADD)'
           WHEN 'unresolved' THEN 'too small to have a shape'
           WHEN 'extrapolated' THEN 'brighter, fainter, larger or smaller than the galaxies with votes' END AS reason
FROM (
    SELECT *, CASE
        WHEN flags_g >= 4 OR flags_r >= 4 OR flags_i >= 4 THEN 'artefact'
        WHEN imaflags_iso_g <> 0 OR imaflags_iso_r <> 0 OR imaflags_iso_i <> 0 THEN 'artefact'
        WHEN flags_g + flags_r + flags_i + imaflags_iso_g + imaflags_iso_r + imaflags_iso_i IS NULL THEN 'unknown'
        -- -9 is DES's 'not classified'
        WHEN coalesce(extended_class_coadd, -9) < 0 OR radius_arcsec IS NULL OR mag_r IS NULL THEN 'unknown'
        WHEN extended_class_coadd <= 1 THEN 'star'
        WHEN extended_class_coadd = 2 OR radius_arcsec < 2.7 THEN 'unresolved'
        -- where truth exists, as measured on DR1
        WHEN mag_r NOT BETWEEN 13.8 AND 17.9 OR radius_arcsec NOT BETWEEN 4.3 AND 38.5 THEN 'extrapolated'
        ELSE 'in' END AS domain
    FROM des_sources WHERE survey = $survey)
