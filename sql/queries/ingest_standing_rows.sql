-- The rows of the archive's table that no newer one replaces.
CREATE TEMP VIEW standing_rows AS
SELECT * FROM {table} AS t
ANTI JOIN (SELECT survey, object_id, replaced_run FROM revisions WHERE table_name = '{table}') AS r
    ON r.survey = t.survey AND r.object_id = t.object_id AND r.replaced_run = t.run
