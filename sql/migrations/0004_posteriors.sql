-- A round may score 300 million objects, so only posteriors are stored. The view `predictions` computes class,
-- confidence and entropy from them, and also reads the files to which `compact` has moved older ones.

CREATE TABLE posteriors AS SELECT * EXCLUDE (predicted_label, predicted_confidence, uncertainty) FROM predictions;
DROP TABLE predictions;

-- Each recording of a model's scores: by its round, and by each later `score`.
CREATE TABLE scorings (model INTEGER, scored BIGINT, round INTEGER, run INTEGER);
INSERT INTO scorings SELECT model, count(*), round, run FROM posteriors GROUP BY model, round, run ORDER BY run;

-- Models whose scores `compact` has moved into a Parquet file below the workspace.
CREATE TABLE archives (model INTEGER, file VARCHAR, sha256 VARCHAR, scored BIGINT, round INTEGER, run INTEGER);
