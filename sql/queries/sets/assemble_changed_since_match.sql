-- The number of catalogued objects of the two surveys that were added or changed after their latest cross-match; NULL if
-- there was none.
SELECT CASE WHEN max(c.run) IS NOT NULL THEN (
           SELECT count(*) FROM objects
           WHERE survey IN ($labelled, $target) AND origin <> 'images' AND run > max(c.run)) END
FROM crossmatches AS c
WHERE (c.survey_a = $labelled AND c.survey_b = $target) OR (c.survey_a = $target AND c.survey_b = $labelled)
