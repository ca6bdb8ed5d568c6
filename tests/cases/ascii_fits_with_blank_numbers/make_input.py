"""VizieR's ASCII tables in FITS: an integer left blank was read as 0, and TNULL of a real number was refused."""

import numpy as np
from astropy.io import fits

columns = [
    fits.Column("COADD_OBJECT_ID", "I6", array=np.array([1, 2, 3])),
    fits.Column("RA", "F10.6", array=np.array([10.5, 11.5, 12.5])),
    fits.Column("DEC", "F10.6", array=np.array([1.5, -2.5, 3.5])),
    fits.Column("MAG_AUTO_G", "F6.3", array=np.array([17.5, 18.5, 11.125]), null="NaN"),
    fits.Column("FLAGS_G", "I4", array=np.array([7, 8888, 9999]), null="-"),
]
fits.TableHDU.from_columns(columns).writeto("ascii.fits")
with open("ascii.fits", "rb") as file:
    data = file.read()
with open("ascii.fits", "wb") as file:
    file.write(
        data.replace(b"8888", b"    ")
        .replace(b"9999", b"   -")
        .replace(b"18.500", b"   NaN")
        .replace(b"11.125", b"      ")
    )
