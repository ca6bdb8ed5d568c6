-- Predictions for the same galaxy in two surveys
-- Needs `catbuilder crossmatch`. Empty if no pair was scored in both.
SELECT a.survey AS survey_a, b.survey AS survey_b, a.predicted_label AS says_a, b.predicted_label AS says_b,
       count(*) AS galaxies, round(avg(m.separation_arcsec), 3) AS mean_separation_arcsec
FROM standing_matches_at() AS m
JOIN catalog AS a ON a.survey = m.survey_a AND a.object_id = m.object_id_a
JOIN catalog AS b ON b.survey = m.survey_b AND b.object_id = m.object_id_b
WHERE a.model IS NOT NULL AND b.model IS NOT NULL
GROUP BY ALL
ORDER BY ALL;
