-- FO by rule: the overlap without calibration, and without a cut on the votes. Ties have no true class to test against.
CREATE OR REPLACE TEMP TABLE members AS
SELECT o.labelled_id, o.target_id, o.truth, o.votes, o.raw_majority
FROM overlap AS o
ANTI JOIN drawn AS d ON d.labelled_id = o.labelled_id
WHERE o.truth IS NOT NULL AND NOT o.calibrates
