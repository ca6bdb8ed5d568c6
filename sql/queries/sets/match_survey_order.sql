-- Surveys that were matched before, in the order in which their pairs are named.
SELECT DISTINCT survey_a, survey_b FROM crossmatches
