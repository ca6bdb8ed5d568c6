-- The latest answers of an annotator that were not retracted; with a reason, only those recorded for it.
SELECT event, survey, object_id, kind, label FROM labels
WHERE source = 'human' AND annotator = $annotator AND kind IN ('label', 'unsure')
  AND ($reason IS NULL OR reason = $reason)
  AND event NOT IN (SELECT retracts FROM labels WHERE retracts IS NOT NULL)
ORDER BY event DESC
LIMIT $n
