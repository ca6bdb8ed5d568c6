-- By round and class: number and confidence of promotions, how many of them were retracted by the end of round $at, and
-- how many earlier promotions the round retracted.
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
