-- Calibration objects: those that calibrate already, and a fixed fraction of the overlap's galaxies outside the test
-- sets, without a cut on the votes. Ties stay in and count as errors; without them the error bound would be about easier
-- galaxies than those of the survey.
CREATE OR REPLACE TEMP TABLE drawn AS
SELECT o.*
FROM overlap AS o
ANTI JOIN test_sets AS a ON a.survey = $labelled AND a.object_id = o.labelled_id
ANTI JOIN test_sets AS b ON b.survey = $target AND b.object_id = o.target_id
WHERE o.draw < $fraction OR o.calibrates
