INSERT INTO matches BY NAME SELECT *, $round AS round, $run AS run FROM found
