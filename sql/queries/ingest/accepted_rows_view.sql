-- The records that can be used, with NULL for the numbers that mean 'not measured'.
CREATE TEMP VIEW accepted AS
SELECT _record, object_id, ra, dec, {magnitudes}, CAST(CASE WHEN {radius} > 0 THEN {radius} END AS FLOAT) AS radius_arcsec{columns}
FROM (SELECT rowid AS _record, object_id, ra, dec{measured}
      FROM incoming ANTI JOIN repeats ON repeats._record = incoming.rowid
      WHERE _reason IS NULL)
