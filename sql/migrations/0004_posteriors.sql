-- Scores of 300 million objects a round: only what cannot be worked out again is kept. What follows from a posterior
-- (class, confidence, entropy) is given by the view `predictions`, which also reads what `compact` has moved out.

CREATE TABLE posteriors AS SELECT * EXCLUDE (predicted_label, predicted_confidence, uncertainty) FROM predictions;
DROP TABLE predictions;

-- Each time a model's scores were recorded: once by its round, and by each later `score`.
CREATE TABLE scorings (model INTEGER, scored BIGINT, round INTEGER, run INTEGER);
INSERT INTO scorings SELECT model, count(*), round, run FROM posteriors GROUP BY model, round, run ORDER BY run;

-- Models whose scores `compact` has moved into a Parquet file below the workspace.
CREATE TABLE archives (model INTEGER, file VARCHAR, sha256 VARCHAR, scored BIGINT, round INTEGER, run INTEGER);
