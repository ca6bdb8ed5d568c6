-- One batch of the smaller side, with the cell of each object.
SELECT object_id, ra, dec, healpix >> $shift AS cell FROM small_side
WHERE place > $first AND place <= $first + $rows
