"""A Parquet file of pyarrow: the statistics of a column do not tell of its NaN, by which queries were answered wrongly."""

import math

import pyarrow as pa
import pyarrow.parquet as pq

table = pa.table({"COADD_OBJECT_ID": [1, 2, 3], "RA": [1.0, math.nan, 3.0], "DEC": [1.0, 2.0, 3.0], "FLAGS_G": [0, 0, 0]})
pq.write_table(table.append_column("MAG_AUTO_G", pa.array([17.5, 17.5, math.nan])), "nan.parquet")
