-- Applied with `views.sql`, with its slots filled in for the catalogue's classes and archives.

-- Posteriors of every model, in the catalogue and in archived files, whose folders are names and no partitions.
-- DuckDB's lambda and list functions take longer for an object than reading it, so all that follows is plain arithmetic
-- on the columns of the classes.
CREATE OR REPLACE VIEW scores AS
    SELECT * FROM posteriors{archived};

-- The predicted class is that of the highest posterior, the first of equal ones.
CREATE OR REPLACE VIEW predictions AS
    SELECT survey, object_id,
           CASE {labels} END AS predicted_label,
           greatest({posteriors}) AS predicted_confidence,
           CAST(greatest({posteriors}) - greatest({pairs}) AS FLOAT) AS margin,
           calibrated_confidence, {posteriors},
           CAST(-({entropy}) AS FLOAT) AS uncertainty, mutual_information, model, round, run
    FROM scores;
