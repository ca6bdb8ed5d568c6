-- How many objects have both classes and the variable, and its quantiles: the edges of bins that hold equally many.
SELECT count(*) AS n, quantile_cont({variable}::DOUBLE, $quantiles) AS edges
FROM compared
WHERE ours IS NOT NULL AND theirs IS NOT NULL AND {variable} IS NOT NULL
