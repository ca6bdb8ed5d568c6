-- Count the records by result. Each good one is new, unchanged or differing in one of the two tables, or in both.
SELECT (SELECT count(*) FROM incoming) + (SELECT count(*) FROM malformed) AS rows,
       (SELECT count(*) FROM incoming WHERE _reason IS NOT NULL) + (SELECT count(*) FROM repeats)
           + (SELECT count(*) FROM malformed) AS rejected,
       (SELECT count(*) FROM accepted) - count(*) AS objects_added,
       (SELECT count(*) FROM accepted) - count(row_run) AS rows_added,
       count(*) FILTER (weaker) AS taken_over,
       count(*) FILTER (object_differs OR row_differs) AS differing,
       count(*) FILTER (row_run IS NOT NULL AND NOT weaker AND NOT object_differs AND NOT row_differs) AS unchanged,
       count(*) FILTER (moved_arcsec > $far_arcsec) AS moved
FROM known
