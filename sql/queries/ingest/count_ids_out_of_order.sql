-- Count the good records whose id does not follow the id before it. In a file sorted by id none repeats, and nothing
-- has to be sorted.
SELECT count(*) FROM (
    SELECT object_id <= lag(object_id) OVER () AS is_back FROM incoming WHERE _reason IS NULL)
WHERE is_back
