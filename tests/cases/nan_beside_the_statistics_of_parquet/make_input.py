"""A Parquet file of pyarrow: the statistics of a column do not tell of its NaN, and queries were answered wrongly."""

import math
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

table = pa.table({"COADD_OBJECT_ID": [1, 2, 3], "RA": [1.0, math.nan, 3.0], "DEC": [1.0, 2.0, 3.0]})
table = table.append_column("MAG_AUTO_G", pa.array([17.5, 17.5, math.nan]))
table = table.append_column("SPREAD_MODEL_I", pa.array([math.nan, 0.5, 0.25]))
pq.write_table(table, "nan.parquet")
shares = {"id": [1000, 1001], "smooth": [0.75, math.nan], "featured": [math.nan, 0.9]}
shares = {name: [*values, *more] for (name, values), more in zip(shares.items(), ([1002], [0.9], [0.1]), strict=True)}
pq.write_table(pa.table(shares), "shares.parquet")
Path("labels.csv").write_text("object_id,label\n1000,elliptical\n1001,spiral\n1002,elliptical\n")
