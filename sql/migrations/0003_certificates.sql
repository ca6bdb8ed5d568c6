-- Evidence for promotions: calibrated confidences, certificates that can be recomputed, audits, shift meters,
-- ensembles, and metrics along a curve.

-- `predicted_confidence` after calibration by the round's calibrator; NULL if the round has none.
ALTER TABLE predictions ADD COLUMN calibrated_confidence FLOAT;
-- Entropy of the mean posterior of an ensemble minus the mean entropy of its members, nats; NULL for one network.
ALTER TABLE predictions ADD COLUMN mutual_information FLOAT;

-- The networks of an ensemble; `models` has one row for each round, of the first network.
CREATE TABLE members (
    model INTEGER, member INTEGER, seed BIGINT, file VARCHAR, sha256 VARCHAR, epochs INTEGER,
    best_epoch INTEGER, validation_loss DOUBLE, round INTEGER, run INTEGER
);

-- One row for each model that could be calibrated: calibrated posterior = softmax(scale * ln p + shift).
CREATE TABLE calibrators (
    model INTEGER, method VARCHAR, scale DOUBLE[], shift DOUBLE[], n BIGINT, round INTEGER, run INTEGER
);

-- Every calibration object of a certified round: its half, its true class ('tie' if votes are equal), and its weight
-- relative to the pool. `counted` is false if rejection sampling left it out.
CREATE TABLE calibration (
    round INTEGER, survey VARCHAR, object_id BIGINT, half VARCHAR, truth VARCHAR, weight DOUBLE, counted BOOLEAN,
    run INTEGER
);

-- Which objects of a class each round promoted: all of the pool at or above a threshold (of the raw or the calibrated
-- confidence), or a share of them by a hash; in one survey, or in all if it is NULL. Later rounds leave out these
-- objects, and the calibration objects that would have been promoted.
CREATE TABLE promotion_cuts (
    round INTEGER, survey VARCHAR, class VARCHAR, score VARCHAR, threshold FLOAT, share DOUBLE, certificate VARCHAR,
    run INTEGER
);

-- Promotions of earlier rounds, which recorded no cut.
INSERT INTO promotion_cuts
SELECT round, NULL, label, 'raw', min(confidence), 1.0, NULL, max(run) FROM labels
WHERE source = 'promoted' AND kind = 'label' AND round = model GROUP BY round, label;

ALTER TABLE certificates ADD COLUMN verdict VARCHAR;      -- 'certified', 'refused' or 'shifted'
ALTER TABLE certificates ADD COLUMN reason VARCHAR;       -- one sentence, of a refusal
ALTER TABLE certificates ADD COLUMN survey VARCHAR;       -- whose pool it is about
ALTER TABLE certificates ADD COLUMN delta DOUBLE;         -- of this class in this round
ALTER TABLE certificates ADD COLUMN grid FLOAT[];         -- thresholds in the order tested, the strictest first
ALTER TABLE certificates ADD COLUMN accepted INTEGER;     -- how many of them passed
ALTER TABLE certificates ADD COLUMN batch BIGINT;         -- objects promoted under it
ALTER TABLE certificates ADD COLUMN batch_errors BIGINT;  -- of these at most so many wrong: batch_bound * batch
ALTER TABLE certificates ADD COLUMN share DOUBLE;         -- of those at or above the threshold that was promoted
ALTER TABLE certificates ADD COLUMN weighted BOOLEAN;     -- conditional on estimated weights

-- A small random sample of each certified batch, to be checked by people, and the result.
CREATE TABLE queue (
    strategy VARCHAR, survey VARCHAR, object_id BIGINT, certificate VARCHAR, place INTEGER, round INTEGER, run INTEGER
);
CREATE TABLE audits (
    certificate VARCHAR, sampled BIGINT, answered BIGINT, wrong BIGINT, batch_bound DOUBLE, verdict VARCHAR,
    round INTEGER, run INTEGER
);

-- How similar two samples of a round are, by the features of its model.
CREATE TABLE shifts (
    round INTEGER, sample_a VARCHAR, sample_b VARCHAR, meter VARCHAR, class VARCHAR, value DOUBLE, low DOUBLE,
    high DOUBLE, n_a BIGINT, n_b BIGINT, run INTEGER
);

-- Each rollback: it undoes the earlier promotions of rounds after `to_round`.
CREATE TABLE rollbacks (to_round INTEGER, round INTEGER, run INTEGER);
INSERT INTO rollbacks
SELECT DISTINCT regexp_extract(reason, 'rollback to round (\d+)', 1)::INTEGER, round, run
FROM labels WHERE source = 'promoted' AND regexp_matches(reason, 'rollback to round \d+$');

-- A metric may belong to a point on a curve or a bin of a variable, and to another truth than the debiased votes.
ALTER TABLE metrics ADD COLUMN variable VARCHAR;
ALTER TABLE metrics ADD COLUMN bin_low DOUBLE;
ALTER TABLE metrics ADD COLUMN bin_high DOUBLE;
ALTER TABLE metrics ADD COLUMN truth VARCHAR;
UPDATE metrics SET truth = 'debiased';
