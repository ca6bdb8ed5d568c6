"""Columns that hold nothing but NULL, categories, half-precision numbers, and lists beside the columns needed."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

table = pa.table(
    {
        "COADD_OBJECT_ID": [1, 2], "RA": [10.0, 11.0], "DEC": [1.0, 2.0], "MAG_AUTO_G": pa.nulls(2),
        "TILENAME": pa.array(["DES0001-4914", None]).dictionary_encode(),
        "MAG_AUTO_R": np.array([17.5, np.nan], np.float16),
        "PSF": [[1.0, 2.0], []], "WHEN": pa.array([0, 1], pa.timestamp("us")), "FLAGS_G": [True, False],
    }
)  # fmt: skip
pq.write_table(table, "des.parquet")
pq.write_table(table.set_column(1, "RA", pa.nulls(2)), "nowhere.parquet")
pq.write_table(table.set_column(1, "RA", pa.array([[1.0], [2.0]])), "lists.parquet")
