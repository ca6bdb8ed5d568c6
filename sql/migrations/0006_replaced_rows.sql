-- `revisions` now lists the replaced rows of stamps and splits too, as of the other tables. Before, all rows had to be
-- ranked to find them.
INSERT INTO revisions (table_name, survey, object_id, replaced_run, round, run)
SELECT 'stamps', survey, object_id, run, next_round, next_run
FROM (SELECT survey, object_id, run, lead(run) OVER newer AS next_run, lead(round) OVER newer AS next_round
      FROM stamps WINDOW newer AS (PARTITION BY survey, object_id ORDER BY run))
WHERE next_run > run ORDER BY survey, object_id;
INSERT INTO revisions (table_name, survey, object_id, replaced_run, round, run)
SELECT 'splits', survey, object_id, run, next_round, next_run
FROM (SELECT survey, object_id, run, lead(run) OVER newer AS next_run, lead(round) OVER newer AS next_round
      FROM splits WINDOW newer AS (PARTITION BY survey, object_id ORDER BY run))
WHERE next_run > run ORDER BY survey, object_id;
