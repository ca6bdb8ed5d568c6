"""Parts of one table that writers typed differently: widths, precision, text, order and a column without values."""

import os

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

os.makedirs("parts/deeper")
ids = [
    pa.array([1, 2], pa.int32()),
    pa.array([2**62 + 1], pa.int64()),
    pa.array([4], pa.int64()),
    pa.array([], pa.int64()),
]
one = {
    "COADD_OBJECT_ID": ids[0],
    "RA": pa.array([1.5, 2.5], pa.float32()),
    "DEC": [1, 2],
    "TILENAME": ["a", "b"],
    "MAG_AUTO_G": pa.nulls(2),
}
two = {
    "MAG_AUTO_G": [17.5],
    "TILENAME": pa.array(["c"], pa.large_string()),
    "coadd_object_id": ids[1],
    "RA": [3.5],
    "DEC": [3.25],
    "ODD": [1],
}
three = {
    "COADD_OBJECT_ID": ids[2],
    "RA": [400.0],
    "DEC": [1.0],
    "TILENAME": pa.array(["d"]).dictionary_encode(),
    "MAG_AUTO_G": np.float32([18]),
}
four = {
    "COADD_OBJECT_ID": ids[3],
    "RA": pa.array([], pa.float64()),
    "DEC": pa.array([], pa.float64()),
    "TILENAME": pa.array([], pa.string()),
    "MAG_AUTO_G": pa.nulls(0),
}
pq.write_table(pa.table(one), "parts/a.parquet")
pq.write_table(pa.table(two), "parts/deeper/B.PARQUET")
pq.write_table(pa.table(three), "parts/c.parquet")
pq.write_table(pa.table(four), "parts/d.parquet")
os.makedirs("clash")
pq.write_table(pa.table(one), "clash/a.parquet")
pq.write_table(pa.table({**two, "RA": ["x"]}), "clash/b.parquet")
os.makedirs("short")
pq.write_table(pa.table(one), "short/a.parquet")
pq.write_table(
    pa.table({name: two[name] for name in ("coadd_object_id", "RA", "DEC", "MAG_AUTO_G")}), "short/b.parquet"
)
