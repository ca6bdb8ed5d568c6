-- Survey catalogues: measurements of the archives, aliases, cross-matches and target populations.
-- A row is never changed. New values of a known object are a new row, and `revisions` says which row it replaces.

-- What kind of file the row came from: images, gz1, sdss or des. A photometric catalogue's position is preferred
-- to Galaxy Zoo's, and that to an image table's.
ALTER TABLE objects ADD COLUMN origin VARCHAR;
UPDATE objects SET origin = 'images';

CREATE TABLE revisions (
    table_name VARCHAR, survey VARCHAR, object_id BIGINT, replaced_run INTEGER, round INTEGER, run INTEGER
);

-- Galaxy Zoo 1, Table 2 (Lintott et al. 2011)
CREATE TABLE galaxy_zoo (
    survey VARCHAR, object_id BIGINT, nvote INTEGER, p_el FLOAT, p_cw FLOAT, p_acw FLOAT, p_edge FLOAT,
    p_dk FLOAT, p_mg FLOAT, p_cs FLOAT, p_el_debiased FLOAT, p_cs_debiased FLOAT, spiral TINYINT,
    elliptical TINYINT, uncertain TINYINT, round INTEGER, run INTEGER
);

-- SDSS PhotoObj; its own `run` is called imaging_run here, since `run` is ours
CREATE TABLE sdss_photoobj (
    survey VARCHAR, object_id BIGINT, u FLOAT, z FLOAT, imaging_run INTEGER, rerun INTEGER, camcol INTEGER,
    field INTEGER, petrorad_r FLOAT, round INTEGER, run INTEGER
);

-- DES main table, DR1 or DR2
CREATE TABLE des_coadd (
    survey VARCHAR, object_id BIGINT, tilename VARCHAR, mag_auto_z FLOAT, mag_auto_y FLOAT,
    flags_g SMALLINT, flags_r SMALLINT, flags_i SMALLINT,
    imaflags_iso_g INTEGER, imaflags_iso_r INTEGER, imaflags_iso_i INTEGER,
    nepochs_g SMALLINT, nepochs_r SMALLINT, nepochs_i SMALLINT,
    xwin_image DOUBLE, ywin_image DOUBLE, a_image FLOAT, b_image FLOAT, theta_j2000 FLOAT, kron_radius FLOAT,
    flux_radius_i FLOAT, fwhm_image_i FLOAT,
    spread_model_i FLOAT, spreaderr_model_i FLOAT, wavg_spread_model_i FLOAT, wavg_spreaderr_model_i FLOAT,
    extended_class_coadd TINYINT, round INTEGER, run INTEGER
);

-- Aliases: an image ingested by position shows a catalogued object, and then counts as that object.
CREATE TABLE aliases (
    survey VARCHAR, object_id BIGINT, of_object_id BIGINT, separation_arcsec DOUBLE, round INTEGER, run INTEGER
);

-- Each cross-match of two surveys; the pairs of the latest one are valid.
CREATE TABLE crossmatches (
    survey_a VARCHAR, survey_b VARCHAR, radius_arcsec DOUBLE, pairs BIGINT, round INTEGER, run INTEGER
);

-- Each application of a target population to a survey; the domains of the latest one are valid.
CREATE TABLE populations (
    survey VARCHAR, population VARCHAR, sha256 VARCHAR, definition VARCHAR, round INTEGER, run INTEGER
);

CREATE TABLE domains (
    survey VARCHAR, object_id BIGINT, domain VARCHAR, reason VARCHAR, round INTEGER, run INTEGER
);

-- True if a person or a table stated the split, false if it is a default. Only a stated split passes from an image to
-- the galaxy it shows, and is kept by `assemble`.
ALTER TABLE splits ADD COLUMN stated BOOLEAN;

-- The class with more raw votes of the volunteers; the truth is by debiased votes
ALTER TABLE test_sets ADD COLUMN raw_majority VARCHAR;
