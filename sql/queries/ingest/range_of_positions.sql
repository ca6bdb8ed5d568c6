-- Number of positions, and the smallest and largest right ascension and declination.
SELECT count(*), min(ra), max(ra), min(dec), max(dec) FROM {table} WHERE ra IS NOT NULL AND dec IS NOT NULL AND {condition}
