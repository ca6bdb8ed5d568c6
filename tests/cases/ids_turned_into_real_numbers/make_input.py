"""Where one id is missing, pandas and TOPCAT turn a column of ids into real numbers, which keep 15 digits of 18."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from astropy.table import Table

BIG = 2**62 + 1
position = {"RA": [10.5, 11.5], "DEC": [1.5, -2.5]}
pq.write_table(pa.table({"COADD_OBJECT_ID": [float(BIG), None], **position}), "real.parquet")
pq.write_table(pa.table({"COADD_OBJECT_ID": [1.0, 2.0], **position}), "small.parquet")
Table({"COADD_OBJECT_ID": [float(BIG), np.nan], **position}).write("real.fits")
Table({"COADD_OBJECT_ID_1": [11.0, 12.0], "COADD_OBJECT_ID_2": [21, 22], **position}).write("joined.fits")
with open("real.csv", "w") as file:
    file.write("COADD_OBJECT_ID,RA,DEC\n4.611686018427388e+18,1,1\n32.0,1,2\n33,1,3\n")
pq.write_table(pa.table({"id": [1000.0, float(BIG), None], "label": ["spiral"] * 3}), "other.parquet")
