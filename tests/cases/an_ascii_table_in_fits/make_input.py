"""VizieR's "FITS (ascii) Table": cells of text, with D exponents, blanks where nothing was measured, and a TNULL."""

import numpy as np
from astropy.io import fits

columns = [
    fits.Column("COADD_OBJECT_ID", "I19", array=np.array([9007199254740993, 9223372036854775807])),
    fits.Column("RA", "D25.17", array=np.array([10.123456789012344, 11.0])),
    fits.Column("DEC", "F8.4", array=np.array([1.5, -2.25])),
    fits.Column("MAG_AUTO_G", "E14.6", array=np.array([18.5, 19.25]), null="---"),
    fits.Column("TILENAME", "A12", array=["DES0219-0541", "DES 2"]),
]
hdu = fits.TableHDU.from_columns(columns)
hdu.writeto("ascii.fits")
with open("ascii.fits", "r+b") as file:
    data = file.read()
    place = data.index(b"1.925000E+01")
    file.seek(place)
    file.write(b"---         ")
