-- The shift meters of each round, in the order of samples and meters.
SELECT round, sample_a, sample_b, meter, class, value, low, high, n_a, n_b
FROM shifts
WHERE $round IS NULL OR round = $round
ORDER BY round, list_position(['labelled', 'calibration', 'pool'], sample_a),
         list_position(['labelled', 'calibration', 'pool'], sample_b),
         list_position(['auc', 'frechet', 'frechet_noise', 'prior'], meter), class
