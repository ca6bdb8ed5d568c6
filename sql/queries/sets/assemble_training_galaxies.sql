-- Galaxies of the labelled survey that may train: votes above the cut, in neither the overlap nor a test set.
SELECT v.object_id, o.healpix, v.truth, v.votes, v.nvote, v.raw_majority
FROM votes AS v
JOIN standing_objects_at() AS o ON o.survey = $labelled AND o.object_id = v.object_id
ANTI JOIN overlap AS b ON b.labelled_id = v.object_id
ANTI JOIN test_sets AS t ON t.survey = $labelled AND t.object_id = v.object_id
WHERE v.clean
ORDER BY v.object_id
