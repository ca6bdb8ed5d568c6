"""The parts of a Parquet table lie in folders `survey=des/year=1`, which DuckDB would turn into columns."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

for year in (1, 2):
    folder = Path(f"parts/ra=99/year={year}")
    folder.mkdir(parents=True)
    pq.write_table(pa.table({"COADD_OBJECT_ID": [year], "RA": [10.0 * year], "DEC": [1.0]}), folder / "part.parquet")
