-- The overlap: every galaxy with votes that both surveys observed. FO and calibration are drawn from it. The true class
-- is the one with the larger debiased vote, and NULL for a tie. The draw is a hash of the id, so it never changes.
CREATE OR REPLACE TEMP TABLE overlap AS
SELECT m.labelled_id, m.target_id, v.truth, v.votes, v.raw_majority, v.clean,
       m.labelled_id IN (SELECT object_id FROM standing_splits_at()
                         WHERE survey = $labelled AND split = 'calibration')
       OR m.target_id IN (SELECT object_id FROM standing_splits_at()
                          WHERE survey = $target AND split = 'calibration') AS calibrates,
       ('0x' || md5($labelled || ' ' || m.labelled_id)[:13])::BIGINT / 2.0 ** 52 AS draw
FROM (
    SELECT object_id_a AS labelled_id, object_id_b AS target_id
    FROM standing_matches_at() WHERE survey_a = $labelled AND survey_b = $target
    UNION ALL
    SELECT object_id_b, object_id_a
    FROM standing_matches_at() WHERE survey_b = $labelled AND survey_a = $target) AS m
JOIN votes AS v ON v.object_id = m.labelled_id
