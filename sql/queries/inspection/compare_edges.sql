-- Quantiles of a variable over the objects with both classes, as edges of bins with equal numbers of objects. The inner
-- edges come from one object in $step, chosen by a hash, since an exact quantile keeps every value in memory.
SELECT min({variable})::DOUBLE AS low, max({variable})::DOUBLE AS high,
       quantile_cont({variable}::DOUBLE, $quantiles) FILTER (hash(survey, object_id) % $step = 0) AS edges
FROM compared
WHERE ours IS NOT NULL AND theirs IS NOT NULL AND {variable} IS NOT NULL
