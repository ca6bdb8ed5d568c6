"""A Parquet file `p[1].parquet` lies beside `p1.parquet`, which its name matches as a pattern."""

import pyarrow as pa
import pyarrow.parquet as pq


def write(name: str, object_id: int, ra: float) -> None:
    pq.write_table(pa.table({"COADD_OBJECT_ID": [object_id], "RA": [ra], "DEC": [1.0]}), name)


write("p[1].parquet", 222, 20.0)
write("p1.parquet", 888, 88.0)
