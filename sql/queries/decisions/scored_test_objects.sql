-- Members of the test sets and of the validation set with the posterior of a round's model (NULL if the object could not
-- be scored), magnitude, colour and radius. The order breaks ties of confidence.
-- All magnitudes of a set come from one survey, `measured_by`, and all radii from one survey: the one that measured most
-- of the set's members or of their matched counterparts; if equal, their own. Mixing surveys would be wrong, since a
-- Petrosian radius is about half of a Kron radius, and photometric systems differ.
WITH members AS (
    SELECT test_set, survey, object_id, truth, raw_majority FROM test_sets WHERE round <= $round
    UNION ALL
    SELECT 'validation', survey, object_id, label, NULL FROM training WHERE round = $round AND role = 'validation'),
objects_of_members AS (SELECT DISTINCT survey, object_id FROM members),
named AS (
    SELECT survey, object_id, survey AS measured_by, object_id AS measured_as FROM objects_of_members
    UNION ALL
    SELECT o.survey, o.object_id, m.survey_b, m.object_id_b
    FROM objects_of_members AS o
    JOIN standing_matches_at($round) AS m ON m.survey_a = o.survey AND m.object_id_a = o.object_id
    UNION ALL
    SELECT o.survey, o.object_id, m.survey_a, m.object_id_a
    FROM objects_of_members AS o
    JOIN standing_matches_at($round) AS m ON m.survey_b = o.survey AND m.object_id_b = o.object_id),
measured AS (
    -- rounded to the catalogue's digits, because noise of single precision would put equal colours in different bins
    SELECT n.survey, n.object_id, n.measured_by, o.mag_r, round(o.mag_g::DOUBLE - o.mag_r::DOUBLE, 4) AS g_r,
           o.radius_arcsec
    FROM named AS n
    JOIN standing_objects_at($round) AS o ON o.survey = n.measured_by AND o.object_id = n.measured_as),
counted AS (
    SELECT m.test_set, m.survey, v.measured_by, v.measured_by = m.survey AS own,
           count(v.mag_r) + count(v.g_r) AS magnitudes, count(v.radius_arcsec) AS radii
    FROM members AS m JOIN measured AS v ON v.survey = m.survey AND v.object_id = m.object_id
    GROUP BY m.test_set, m.survey, v.measured_by),
photometry AS (
    SELECT test_set, survey, measured_by FROM counted WHERE magnitudes > 0
    QUALIFY row_number() OVER (PARTITION BY test_set, survey ORDER BY magnitudes DESC, own DESC, measured_by) = 1),
sizes AS (
    SELECT test_set, survey, measured_by FROM counted WHERE radii > 0
    QUALIFY row_number() OVER (PARTITION BY test_set, survey ORDER BY radii DESC, own DESC, measured_by) = 1)
SELECT m.test_set, m.survey, m.object_id, m.truth, m.raw_majority, f.measured_by, v.mag_r, v.g_r, w.radius_arcsec,
       COLUMNS('^p_')
FROM members AS m
LEFT JOIN predictions AS p ON p.survey = m.survey AND p.object_id = m.object_id AND p.model = $round
LEFT JOIN photometry AS f ON f.test_set = m.test_set AND f.survey = m.survey
LEFT JOIN measured AS v ON v.survey = m.survey AND v.object_id = m.object_id AND v.measured_by = f.measured_by
LEFT JOIN sizes AS s ON s.test_set = m.test_set AND s.survey = m.survey
LEFT JOIN measured AS w ON w.survey = m.survey AND w.object_id = m.object_id AND w.measured_by = s.measured_by
ORDER BY m.test_set, m.survey, m.object_id
