-- The rows of a table that no newer one replaces. Of `objects` these are more than the catalogue shows: an image that
-- belongs to a catalogued object has a row too.
CREATE TEMP VIEW {view} AS
SELECT * FROM {table} AS t
ANTI JOIN (SELECT survey, object_id, replaced_run FROM revisions WHERE table_name = '{table}') AS r
    ON r.survey = t.survey AND r.object_id = t.object_id AND r.replaced_run = t.run
