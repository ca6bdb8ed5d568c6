-- Number of objects in each cell of an order, over the whole sky or only inside crowded cells of the order before.
SELECT _healpix_29 >> $shift AS pixel, count(*) AS rows
FROM hats_cells
WHERE $whole OR _healpix_29 >> ($shift + 2) IN (SELECT unnest($crowded::BIGINT[]))
GROUP BY pixel
