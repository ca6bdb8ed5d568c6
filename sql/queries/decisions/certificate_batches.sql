-- The sizes of a round's certified batches, by class: of the labels promoted, or where the whole pool was certified anew of
-- the objects covered.
SELECT label AS class, count(*) AS batch FROM labels
WHERE NOT only_asserts($round) AND round = $round AND model = round AND kind = 'label' AND certificate IS NOT NULL
GROUP BY label
UNION ALL
SELECT predicted_label, count(*) FROM covered_at($round, $target)
WHERE only_asserts($round)
GROUP BY predicted_label
