-- What each round is judged by, under names that sort well: test sets at full coverage and for the surest half, shift meters,
-- and how many objects were promoted and taken back.
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
