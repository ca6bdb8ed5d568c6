-- Re-applied with `views.sql`, with its slots filled from the catalogue's own classes and archives.

-- Posteriors of every model, wherever they are kept. What DuckDB's own lambda or list functions would cost an object is
-- more than reading it, so that all that follows is plain arithmetic on the classes' columns.
CREATE OR REPLACE VIEW scores AS
    SELECT * FROM posteriors{archived};

-- The class of highest posterior wins, the first of equals.
CREATE OR REPLACE VIEW predictions AS
    SELECT survey, object_id,
           CASE {labels} END AS predicted_label,
           greatest({posteriors}) AS predicted_confidence,
           CAST(greatest({posteriors}) - greatest({pairs}) AS FLOAT) AS margin,
           calibrated_confidence, {posteriors},
           CAST(-({entropy}) AS FLOAT) AS uncertainty, mutual_information, model, round, run
    FROM scores;
