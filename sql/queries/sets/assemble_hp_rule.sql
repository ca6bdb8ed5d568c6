-- HP by rule: the overlap's galaxies with clean votes, but for those that calibrate already.
CREATE OR REPLACE TEMP TABLE members AS
SELECT labelled_id, target_id, truth, votes, raw_majority FROM overlap WHERE clean AND NOT calibrates
