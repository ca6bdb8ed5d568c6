-- Insert rows of objects that have none in the archive's table.
INSERT INTO {table} BY NAME
SELECT $survey AS survey, a.object_id{columns}, $round AS round, $run AS run
FROM accepted AS a ANTI JOIN known_rows AS k ON k._record = a._record
{order}
