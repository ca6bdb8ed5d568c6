-- Metrics of each round under names that sort well: test sets at full coverage and for the most confident half, shift
-- meters, and numbers of promotions and retractions.
SELECT round, test_set || '/' || survey || '/' || metric || coalesce('/' || class, '')
              || CASE coverage WHEN 0.5 THEN '_surest_half' ELSE '' END AS name, value
FROM metrics
WHERE variable IS NULL AND truth = 'debiased' AND metric <> 'confusion' AND coverage IN (1, 0.5) AND isfinite(value)
UNION ALL
SELECT round, 'shift/' || sample_a || '-' || sample_b || '/' || meter || coalesce('/' || class, ''), value
FROM shifts
WHERE isfinite(value)
UNION ALL
SELECT round, CASE kind WHEN 'label' THEN 'promoted/' ELSE 'retracted/' END || label, count(*)
FROM labels
WHERE source = 'promoted'
GROUP BY ALL
ORDER BY ALL
