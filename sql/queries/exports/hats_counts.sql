-- Objects in each cell of an order, all over the sky or only where the cells around, of the order before, are crowded.
SELECT _healpix_29 >> $shift AS pixel, count(*) AS rows
FROM hats_cells
WHERE $whole OR _healpix_29 >> ($shift + 2) IN (SELECT unnest($crowded::BIGINT[]))
GROUP BY pixel
