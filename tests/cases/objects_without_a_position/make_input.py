"""Rows whose right ascension or declination is empty, NaN or infinite lie in no pixel of the sky."""

import numpy as np
from astropy.table import MaskedColumn, Table

with open("nan.csv", "w") as file:
    file.write("COADD_OBJECT_ID,RA,DEC\n1,,\n2,310.5,-27.5\n3,nan,1\n4,1,inf\n5,NULL,1\n6,-,1\n")
table = Table({"COADD_OBJECT_ID": [11, 12, 13], "RA": [np.nan, 11.5, np.inf], "DEC": [1.5, -2.5, 1]})
table.write("nan.fits")
table["COADD_OBJECT_ID"] += 10
table["DEC"] = MaskedColumn(table["DEC"], mask=[False, True, False])
table.write("nan.parquet")
