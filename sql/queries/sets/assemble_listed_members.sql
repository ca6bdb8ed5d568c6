-- The galaxies of a listed test set, with their votes. All listed galaxies are members, whatever their votes. The id of
-- an image means the object that the image shows.
CREATE OR REPLACE TEMP TABLE members AS
SELECT l.labelled_id, l.target_id, v.truth, v.votes, v.raw_majority
FROM (
    SELECT coalesce(a.of_object_id, n.labelled_id) AS labelled_id, coalesce(b.of_object_id, n.target_id) AS target_id
    FROM listed AS n
    LEFT JOIN standing_aliases_at() AS a ON a.survey = $labelled AND a.object_id = n.labelled_id
    LEFT JOIN standing_aliases_at() AS b ON b.survey = $target AND b.object_id = n.target_id) AS l
LEFT JOIN votes AS v ON v.object_id = l.labelled_id
