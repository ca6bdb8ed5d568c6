-- Whether a good record's id does not follow on the one before it: in an archive's own order none repeats, and nothing has
-- to be sorted.
SELECT count(*) FROM (
    SELECT object_id <= lag(object_id) OVER () AS is_back FROM incoming WHERE _reason IS NULL)
WHERE is_back
