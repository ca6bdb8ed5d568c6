-- Everything within half a degree of a position
-- A cone search, nearest first, here around the first object that has a position; put in your own ra and dec (degrees).
WITH centre AS (SELECT ra AS ra0, dec AS dec0 FROM objects WHERE ra IS NOT NULL ORDER BY survey, object_id LIMIT 1)
SELECT survey, object_id, ra, dec, coalesce(label, predicted_label) AS class,
       round(3600 * degrees(2 * asin(sqrt(pow(sin(radians(dec - dec0) / 2), 2)
           + cos(radians(dec)) * cos(radians(dec0)) * pow(sin(radians(ra - ra0) / 2), 2)))), 2) AS arcsec
FROM catalog, centre
WHERE dec BETWEEN dec0 - 0.5 AND dec0 + 0.5  -- first what is cheap to ask
  AND arcsec <= 1800
ORDER BY arcsec, survey, object_id
LIMIT 20;
