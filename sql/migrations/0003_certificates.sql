-- What a promotion is vouched for with: calibrated confidences, certificates that can be recomputed, audits, shift
-- meters, ensembles, and metrics along a curve.

-- What the calibrator of the round makes of `predicted_confidence`; NULL where nothing could calibrate.
ALTER TABLE predictions ADD COLUMN calibrated_confidence FLOAT;
-- Of an ensemble: entropy of the mean posterior less the mean entropy of the members, nats. NULL for one network.
ALTER TABLE predictions ADD COLUMN mutual_information FLOAT;

-- The networks of an ensemble; `models` keeps one row a round, of the first.
CREATE TABLE members (
    model INTEGER, member INTEGER, seed BIGINT, file VARCHAR, sha256 VARCHAR, epochs INTEGER,
    best_epoch INTEGER, validation_loss DOUBLE, round INTEGER, run INTEGER
);

-- One row a model that could be calibrated: calibrated posterior = softmax(scale * ln p + shift).
CREATE TABLE calibrators (
    model INTEGER, method VARCHAR, scale DOUBLE[], shift DOUBLE[], n BIGINT, round INTEGER, run INTEGER
);

-- What a certified round counted: every calibration object it looked at, its half, its truth ('tie' where votes are
-- equal), and with what weight it stands for the pool. `counted` is false for what the rejection sampling left out.
CREATE TABLE calibration (
    round INTEGER, survey VARCHAR, object_id BIGINT, half VARCHAR, truth VARCHAR, weight DOUBLE, counted BOOLEAN,
    run INTEGER
);

-- What each round's promotion took of a class: everything of the pool at or above the threshold (of the raw or the
-- calibrated confidence), or a share of it by a hash; of one survey, or of all where it is NULL. Later rounds leave out
-- what this has taken, and the calibration objects that it would take.
CREATE TABLE promotion_cuts (
    round INTEGER, survey VARCHAR, class VARCHAR, score VARCHAR, threshold FLOAT, share DOUBLE, certificate VARCHAR,
    run INTEGER
);

-- What earlier rounds took without leaving a cut.
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

-- A small random sample of each certified batch, for human eyes; and what they made of it.
CREATE TABLE queue (
    strategy VARCHAR, survey VARCHAR, object_id BIGINT, certificate VARCHAR, place INTEGER, round INTEGER, run INTEGER
);
CREATE TABLE audits (
    certificate VARCHAR, sampled BIGINT, answered BIGINT, wrong BIGINT, batch_bound DOUBLE, verdict VARCHAR,
    round INTEGER, run INTEGER
);

-- How alike two samples of a round are, by the features of its model.
CREATE TABLE shifts (
    round INTEGER, sample_a VARCHAR, sample_b VARCHAR, meter VARCHAR, class VARCHAR, value DOUBLE, low DOUBLE,
    high DOUBLE, n_a BIGINT, n_b BIGINT, run INTEGER
);

-- Each rollback: the promotions of rounds after `to_round` that were made before it are undone.
CREATE TABLE rollbacks (to_round INTEGER, round INTEGER, run INTEGER);
INSERT INTO rollbacks
SELECT DISTINCT regexp_extract(reason, 'rollback to round (\d+)', 1)::INTEGER, round, run
FROM labels WHERE source = 'promoted' AND regexp_matches(reason, 'rollback to round \d+$');

-- A metric may belong to a place on a curve or in a bin of some variable, and to another truth than the debiased votes.
ALTER TABLE metrics ADD COLUMN variable VARCHAR;
ALTER TABLE metrics ADD COLUMN bin_low DOUBLE;
ALTER TABLE metrics ADD COLUMN bin_high DOUBLE;
ALTER TABLE metrics ADD COLUMN truth VARCHAR;
UPDATE metrics SET truth = 'debiased';
