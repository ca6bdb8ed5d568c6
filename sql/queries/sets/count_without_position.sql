-- The number of objects that may be trained on or promoted and have no position, so that only their picture can be
-- compared with the test objects.
SELECT count(*)
FROM places_at()
WHERE ra IS NULL AND test_set IS NULL AND quality = 'ok' AND split IN ('train', 'validation', 'pool')
  AND EXISTS (SELECT 1 FROM test_sets)
