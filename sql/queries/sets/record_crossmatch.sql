-- Record that two surveys were cross-matched.
INSERT INTO crossmatches BY NAME
SELECT $survey_a AS survey_a, $survey_b AS survey_b, $radius_arcsec AS radius_arcsec, $pairs AS pairs,
       $round AS round, $run AS run
