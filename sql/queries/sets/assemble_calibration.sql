-- Calibration: what calibrates already, and a fixed share of the galaxies that both surveys saw and that are in no test set, with no cut on the votes.
-- Ties stay in: they count as errors, or the bound would be about easier galaxies than those of the survey.
CREATE OR REPLACE TEMP TABLE drawn AS
SELECT o.*
FROM overlap AS o
ANTI JOIN test_sets AS a ON a.survey = $labelled AND a.object_id = o.labelled_id
ANTI JOIN test_sets AS b ON b.survey = $target AND b.object_id = o.target_id
WHERE o.draw < $fraction OR o.calibrates
