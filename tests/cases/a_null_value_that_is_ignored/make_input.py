"""TNULL of a column of floating-point numbers, which the standard does not allow: astropy ignores it, and says so."""

from astropy.io import fits
from astropy.table import Table

table = fits.BinTableHDU(Table({"COADD_OBJECT_ID": [1], "RA": [10.0], "DEC": [1.0], "KRON_RADIUS": [-99.0]}))
table.header["TNULL4"], table.header["TDISP4"] = -99, "nonsense"
table.writeto("null.fits", output_verify="ignore")
