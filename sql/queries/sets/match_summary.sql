-- The number of pairs, their separations, and the pairs with another candidate.
SELECT count(*), median(separation_arcsec), max(separation_arcsec), count(*) FILTER (contested) FROM pairs
