-- Pairs of surveys that were matched before, in the order in which `crossmatches` names them.
SELECT DISTINCT survey_a, survey_b FROM crossmatches
