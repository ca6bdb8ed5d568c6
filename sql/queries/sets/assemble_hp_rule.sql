-- HP by rule: sure votes. A galaxy that calibrates already is not taken for a test.
CREATE OR REPLACE TEMP TABLE members AS
SELECT labelled_id, target_id, truth, votes, raw_majority FROM overlap WHERE clean AND NOT calibrates
