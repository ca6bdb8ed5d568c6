-- Similarity of labelled, calibration and pool objects to the network
-- `auc` near 0.5: a classifier cannot tell the samples apart. Empty if no round kept features.
SELECT round, sample_a, sample_b, meter, class, round(value, 3) AS value, round(low, 3) AS low, round(high, 3) AS high
FROM shifts
ORDER BY ALL;
