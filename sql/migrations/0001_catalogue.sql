-- The append-only tables. No keys and no indexes: loading 10 million rows takes 0.8 s without a key and
-- 5 to 14 s with one, and uniqueness is checked once a batch and by `catbuilder check`.
-- `round` is the first round that knows the row; `run` the command that recorded it.
-- A column p_<class> is added to `predictions` for each class of the workspace when this is applied.

CREATE TABLE runs (
    run INTEGER, command VARCHAR, version VARCHAR, host VARCHAR, recorded_at TIMESTAMP
);

CREATE TABLE objects (
    survey VARCHAR, object_id BIGINT, name VARCHAR, ra DOUBLE, dec DOUBLE, healpix BIGINT,
    mag_g FLOAT, mag_r FLOAT, mag_i FLOAT, radius_arcsec FLOAT, domain VARCHAR,
    round INTEGER, run INTEGER
);

CREATE TABLE splits (
    survey VARCHAR, object_id BIGINT, split VARCHAR, round INTEGER, run INTEGER
);

CREATE TABLE stamps (
    survey VARCHAR, object_id BIGINT, shard VARCHAR, row INTEGER, file VARCHAR, sha256 VARCHAR,
    rendering VARCHAR, arcsec_per_pixel FLOAT, width_px INTEGER, height_px INTEGER,
    quality VARCHAR, reason VARCHAR, round INTEGER, run INTEGER
);

CREATE TABLE shards (
    shard VARCHAR, sha256 VARCHAR, stamps INTEGER, round INTEGER, run INTEGER
);

CREATE TABLE matches (
    survey_a VARCHAR, object_id_a BIGINT, survey_b VARCHAR, object_id_b BIGINT,
    separation_arcsec DOUBLE, round INTEGER, run INTEGER
);

CREATE TABLE test_sets (
    test_set VARCHAR, survey VARCHAR, object_id BIGINT, truth VARCHAR, votes FLOAT,
    round INTEGER, run INTEGER
);

CREATE TABLE labels (
    event BIGINT, survey VARCHAR, object_id BIGINT, kind VARCHAR, label VARCHAR, confidence FLOAT,
    source VARCHAR, annotator VARCHAR, model INTEGER, certificate VARCHAR, reason VARCHAR,
    retracts BIGINT, round INTEGER, run INTEGER, recorded_at TIMESTAMP
);

CREATE TABLE predictions (
    survey VARCHAR, object_id BIGINT, predicted_label VARCHAR, predicted_confidence FLOAT,
    uncertainty FLOAT, model INTEGER, round INTEGER, run INTEGER
);

CREATE TABLE exclusions (
    survey VARCHAR, object_id BIGINT, rule VARCHAR, test_set VARCHAR, test_survey VARCHAR,
    test_object_id BIGINT, separation_arcsec DOUBLE, similarity FLOAT, round INTEGER, run INTEGER
);

CREATE TABLE rounds (
    round INTEGER, recipe VARCHAR, recipe_sha256 VARCHAR, seed BIGINT, ranks INTEGER, threads INTEGER,
    manifest_sha256 VARCHAR, plan JSON, run INTEGER
);

CREATE TABLE steps (
    round INTEGER, step VARCHAR, details JSON, run INTEGER, recorded_at TIMESTAMP
);

CREATE TABLE training (
    round INTEGER, survey VARCHAR, object_id BIGINT, role VARCHAR, label VARCHAR, source VARCHAR,
    run INTEGER
);

CREATE TABLE models (
    model INTEGER, file VARCHAR, sha256 VARCHAR, backbone VARCHAR, weights VARCHAR, seed BIGINT,
    epochs INTEGER, best_epoch INTEGER, validation_loss DOUBLE, round INTEGER, run INTEGER
);

CREATE TABLE metrics (
    round INTEGER, test_set VARCHAR, survey VARCHAR, metric VARCHAR, class VARCHAR, predicted VARCHAR,
    coverage DOUBLE, value DOUBLE, low DOUBLE, high DOUBLE, n BIGINT, run INTEGER
);

CREATE TABLE certificates (
    certificate VARCHAR, class VARCHAR, truth VARCHAR, population VARCHAR, n BIGINT, errors BIGINT,
    threshold DOUBLE, alpha DOUBLE, delta_spent DOUBLE, population_bound DOUBLE, batch_bound DOUBLE,
    calibration_sha256 VARCHAR, round INTEGER, run INTEGER
);

CREATE TABLE rejections (
    file VARCHAR, row BIGINT, object_id VARCHAR, reason VARCHAR, round INTEGER, run INTEGER
);
