-- Read the other catalogue: object, position, and the class that it commits to. `of_survey` is false for rows of another
-- survey; `code` is the number of the value that means the class, and `value` a value that means none.
CREATE OR REPLACE TEMP TABLE theirs AS
SELECT row_number() OVER () AS row, object_id, ra, dec,
       CASE WHEN $with_cells AND longitude BETWEEN -180 AND 360 AND latitude BETWEEN -90 AND 90
            THEN nullif(healpix_cell(ra, dec), -1) END AS healpix, label, code, value, of_survey
FROM (SELECT *, {icrs}
      FROM (SELECT {object_id} AS object_id, {place}, {label} AS label, {code} AS code, {value} AS value,
                   {of_survey} AS of_survey
            FROM {source}))
