CREATE OR REPLACE TEMP TABLE members AS
SELECT labelled_id, target_id, truth, votes, raw_majority FROM overlap WHERE clean
