-- Quantiles of a variable over the objects with both classes: the edges of bins that hold equally many. Those between the
-- ends are of one object in $step, drawn by a hash, since an exact quantile keeps every value in memory.
SELECT min({variable})::DOUBLE AS low, max({variable})::DOUBLE AS high,
       quantile_cont({variable}::DOUBLE, $quantiles) FILTER (hash(survey, object_id) % $step = 0) AS edges
FROM compared
WHERE ours IS NOT NULL AND theirs IS NOT NULL AND {variable} IS NOT NULL
