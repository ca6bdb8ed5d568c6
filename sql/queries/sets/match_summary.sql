SELECT count(*), median(separation_arcsec), max(separation_arcsec), count(*) FILTER (contested) FROM pairs
