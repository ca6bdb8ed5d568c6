-- Whether rows that the firewall compares were added since the latest plan of a round, which updated the firewall.
SELECT count(*) FROM (
    SELECT run FROM objects WHERE run > $run UNION ALL SELECT run FROM stamps WHERE run > $run
    UNION ALL SELECT run FROM aliases WHERE run > $run UNION ALL SELECT run FROM test_sets WHERE run > $run
    UNION ALL SELECT run FROM crossmatches WHERE run > $run
    UNION ALL SELECT run FROM splits WHERE split = 'calibration' AND run > $run
    LIMIT 1)
