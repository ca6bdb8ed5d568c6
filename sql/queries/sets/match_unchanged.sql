-- Whether the latest cross-match of the two surveys has this radius and these pairs, and no catalogued object came later.
SELECT count(*) = 1 AND bool_and(c.pairs = (SELECT count(*) FROM pairs))
       AND NOT EXISTS (
           SELECT 1 FROM pairs AS p
           ANTI JOIN standing_matches_at() AS m
               ON m.survey_a = $survey_a AND m.survey_b = $survey_b AND m.object_id_a = p.id_a AND m.object_id_b = p.id_b
               AND m.separation_arcsec = p.separation_arcsec)
FROM crossmatches AS c
WHERE survey_a = $survey_a AND survey_b = $survey_b AND radius_arcsec = $radius_arcsec
  AND run = (SELECT max(run) FROM crossmatches WHERE survey_a = $survey_a AND survey_b = $survey_b)
  AND run > (SELECT coalesce(max(run), 0) FROM objects WHERE survey IN ($survey_a, $survey_b) AND origin <> 'images')
