-- Record the pairs of a cross-match.
INSERT INTO matches BY NAME SELECT *, $round AS round, $run AS run FROM found
