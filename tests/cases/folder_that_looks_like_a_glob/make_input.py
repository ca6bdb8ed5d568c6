"""`parts [1]` and `parts 1` hold Parquet; a pattern below the first is that folder, and `parts ?` is the other one."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

for name, first in (("parts [1]", 10), ("parts 1", 90)):
    Path(name).mkdir()
    for part in (1, 2):
        table = pa.table({"COADD_OBJECT_ID": [first + part], "RA": [10.0 * part], "DEC": [1.0]})
        pq.write_table(table, f"{name}/{part}.parquet")
