-- Counts of the overlap: galaxies, ties, ties that calibrate, members of HP in it, members of HP in FO, and galaxies that
-- came after FO was written.
WITH hp AS (SELECT object_id FROM test_sets WHERE test_set = 'HP' AND survey = $target),
fo AS (SELECT object_id FROM test_sets WHERE test_set = 'FO' AND survey = $target)
SELECT (SELECT count(*) FROM overlap),
       (SELECT count(*) FROM overlap WHERE truth IS NULL),
       (SELECT count(*) FROM drawn WHERE truth IS NULL),
       (SELECT count(*) FROM overlap WHERE target_id IN (FROM hp)),
       (SELECT count(*) FROM fo WHERE object_id IN (FROM hp)),
       (SELECT count(*) FROM overlap
        WHERE truth IS NOT NULL AND target_id NOT IN (FROM hp) AND target_id NOT IN (FROM fo)
          AND target_id NOT IN (SELECT target_id FROM drawn))
