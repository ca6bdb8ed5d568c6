-- Read the other catalogue: object, position, and the class that it commits to.
CREATE OR REPLACE TEMP TABLE theirs AS
SELECT row_number() OVER () AS row, object_id, ra, dec,
       CASE WHEN $with_cells AND ra BETWEEN 0 AND 360 AND dec BETWEEN -90 AND 90 THEN nullif(healpix_cell(ra, dec), -1)
            END AS healpix, label
FROM (SELECT {object_id} AS object_id, {ra} AS ra, {dec} AS dec, {label} AS label FROM {source})
