-- A share of the catalogue, chosen by a hash that is quick: of 30 million objects MD5 takes 20 s. It is hashed once more,
-- since DuckDB joins the hashes of several values by XOR, and all keys would then choose among the same few shares. It is
-- compared as UBIGINT: a remainder would be computed in 128 bits, which takes five times as long.
SELECT survey, object_id
FROM objects
WHERE hash(hash($key, survey, object_id)) < $below::UBIGINT AND ($survey IS NULL OR survey = $survey)
