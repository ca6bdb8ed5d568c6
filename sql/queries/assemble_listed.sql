-- The galaxies of a list, with what volunteers say of them; the list has the last word on who belongs.
CREATE OR REPLACE TEMP TABLE members AS
SELECT l.labelled_id, l.target_id, v.truth, v.votes, v.raw_majority
FROM listed AS l LEFT JOIN votes AS v ON v.object_id = l.labelled_id
