"""Another catalogue out of a database: its ids and codes are decimals."""

from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq

ids = pa.array([Decimal(1000 + k) for k in range(4)], pa.decimal128(38, 10))
codes = pa.array([Decimal(k % 2) for k in range(4)], pa.decimal128(20, 0))
pq.write_table(pa.table({"id": ids, "type": codes}), "other.parquet")
with open("labels.csv", "w") as file:
    file.write("object_id,label\n" + "".join(f"{1000 + k},{'spiral' if k % 2 else 'elliptical'}\n" for k in range(4)))
