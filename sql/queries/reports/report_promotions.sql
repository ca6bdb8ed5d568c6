-- By round and class: what was promoted, how sure the network was, and what of it has been taken back by the end of $at;
-- and what the round took back of earlier ones.
SELECT l.round, l.label AS class,
       count(*) FILTER (l.kind = 'label') AS promoted,
       min(l.confidence) FILTER (l.kind = 'label') AS least,
       median(l.confidence) FILTER (l.kind = 'label') AS middle,
       count(*) FILTER (l.kind = 'label' AND r.retracts IS NOT NULL) AS taken_back,
       count(*) FILTER (l.kind = 'retraction') AS retracted
FROM labels AS l
LEFT JOIN (SELECT retracts FROM labels WHERE kind = 'retraction' AND round <= $at) AS r ON r.retracts = l.event
WHERE l.source = 'promoted' AND l.round <= $at
GROUP BY l.round, l.label
ORDER BY l.round, l.label
