"""TNULL 999999 marks missing integers of one column alone; a logical cell has a third value, neither true nor false."""

import numpy as np
from astropy.io import fits

position = [fits.Column("RA", "D", array=[10.5, 11.5]), fits.Column("DEC", "D", array=[1.5, -2.5])]
columns = [
    fits.Column("COADD_OBJECT_ID", "K", array=[999999, 2]),
    *position,
    fits.Column("FLAGS_G", "J", array=[999999, 3], null=999999),
]
fits.BinTableHDU.from_columns(columns).writeto("null.fits")
columns[0] = fits.Column("COADD_OBJECT_ID", "K", array=[11, 12])
columns[-1] = fits.Column("FLAGS_G", "L", array=np.array([False, True]))
hdu = fits.BinTableHDU.from_columns(columns)
hdu.writeto("logical.fits")
with open("logical.fits", "r+b") as file:
    place = file.read().index((11).to_bytes(8, "big")) + 24  # behind the id, RA and DEC of the first row
    file.seek(place)
    file.write(bytes(1))
