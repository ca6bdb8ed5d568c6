-- A coarse map: objects and classes by HEALPix cell
-- Cells of order 5 (1.8 degrees), nested; `healpix` is of order 29, and two bits are one order.
SELECT o.survey, o.healpix >> (2 * (29 - 5)) AS cell, count(*) AS objects, round(avg(o.ra), 2) AS ra, round(avg(o.dec), 2) AS dec,
       histogram(coalesce(c.label, c.predicted_label)) AS classes
FROM standing_objects_at() AS o
JOIN catalog AS c ON c.survey = o.survey AND c.object_id = o.object_id
WHERE o.healpix IS NOT NULL
GROUP BY ALL
ORDER BY objects DESC, o.survey, cell
LIMIT 20;
