-- The target population of DES DR1: which objects a network trained on Galaxy Zoo may speak of.
-- Copy this file, change it, and name it in a recipe: [sets] population = "mine.sql". It is one SELECT of object_id,
-- domain and reason for every object of $survey. Only 'in' is ever promoted. What was not measured gives 'unknown'.
WITH sources AS (
    SELECT *,
           -- the average over single exposures is the better one; 4 % of the galaxies lack it
           CASE WHEN wavg_spread_model_i IS NOT NULL AND wavg_spreaderr_model_i IS NOT NULL
                THEN wavg_spread_model_i ELSE spread_model_i END AS spread,
           CASE WHEN wavg_spread_model_i IS NOT NULL AND wavg_spreaderr_model_i IS NOT NULL
                THEN wavg_spreaderr_model_i ELSE spreaderr_model_i END AS spread_error
    FROM des_sources WHERE survey = $survey),
graded AS (
    SELECT *,
           -- 0 and 1 star, 2 barely extended, 3 galaxy (DES Collaboration 2018, arXiv:1801.03181; Khan et al. 2019)
           (spread + 3 * spread_error > 0.005)::INTEGER + (spread + spread_error > 0.003)::INTEGER
           + (spread - spread_error > 0.001)::INTEGER AS extended
    FROM sources)
SELECT object_id, domain,
       CASE domain
           WHEN 'artefact' THEN CASE
               WHEN flags_g >= 4 OR flags_r >= 4 OR flags_i >= 4 THEN 'saturated, cut off or damaged (FLAGS of 4 or more)'
               ELSE 'bad pixels (IMAFLAGS_ISO)' END
           WHEN 'unknown' THEN 'not measured: ' || concat_ws(', ',
               CASE WHEN flags_g IS NULL OR flags_r IS NULL OR flags_i IS NULL THEN 'FLAGS' END,
               CASE WHEN imaflags_iso_g IS NULL OR imaflags_iso_r IS NULL OR imaflags_iso_i IS NULL THEN 'IMAFLAGS_ISO' END,
               CASE WHEN wavg_spread_model_i IS NULL AND spread_model_i IS NULL THEN 'SPREAD_MODEL_I' END,
               CASE WHEN spread_error IS NULL THEN 'SPREADERR_MODEL_I' END,
               CASE WHEN radius_arcsec IS NULL THEN 'KRON_RADIUS or A_IMAGE' END,
               CASE WHEN mag_r IS NULL THEN 'MAG_AUTO_R' END)
           WHEN 'star' THEN 'a point source (spread model)'
           WHEN 'unresolved' THEN 'too small to have a shape'
           WHEN 'extrapolated' THEN 'brighter, fainter, larger or smaller than the galaxies with votes' END AS reason
FROM (
    SELECT *, CASE
        -- FLAGS = 0 would drop 77 % of the clean ellipticals: 1 and 2 only tell of a neighbour
        WHEN flags_g >= 4 OR flags_r >= 4 OR flags_i >= 4 THEN 'artefact'
        WHEN imaflags_iso_g <> 0 OR imaflags_iso_r <> 0 OR imaflags_iso_i <> 0 THEN 'artefact'
        -- a sum is NULL where one of its columns is
        WHEN flags_g + flags_r + flags_i + imaflags_iso_g + imaflags_iso_r + imaflags_iso_i IS NULL THEN 'unknown'
        WHEN extended IS NULL OR radius_arcsec IS NULL OR mag_r IS NULL THEN 'unknown'
        WHEN extended <= 1 THEN 'star'
        -- twice the Kron aperture of a point source in the seeing of DES
        WHEN extended = 2 OR radius_arcsec < 2.7 THEN 'unresolved'
        -- where truth exists: 99 % of the 16,982 galaxies that DES shares with Galaxy Zoo lie inside each limit
        WHEN mag_r NOT BETWEEN 13.8 AND 17.9 OR radius_arcsec NOT BETWEEN 4.3 AND 38.5 THEN 'extrapolated'
        ELSE 'in' END AS domain
    FROM graded)
