"""Positions as texts in columns of radians or arcmin, and one of them in degrees, minutes and seconds all the same."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from astropy.table import Table


def positions(first_id: int, unit: str, per_degree: float) -> Table:
    ra, dec = str(30.1 * per_degree), str(-0.21 * per_degree)
    rows = [(ra, dec), (ra, "-49:14:10"), (ra, "-00d12m36s"), ("02:00:24", dec)]
    table = Table(rows=rows, names=("RA", "DEC"))
    table.add_column(np.arange(len(rows)) + first_id, name="COADD_OBJECT_ID", index=0)
    for name in ("RA", "DEC"):
        table[name].unit = unit
    return table


radian = np.pi / 180
positions(10, "rad", radian).write("radians.vot", format="votable")
positions(20, "rad", radian).write("radians.ecsv")
positions(30, "rad", radian).write("radians.fits")
plain = positions(40, "rad", radian)
fields = [pa.field(name, pa.string(), metadata={"unit": "rad"}) for name in ("RA", "DEC")]
schema = pa.schema([pa.field("COADD_OBJECT_ID", pa.int64()), *fields])
pq.write_table(pa.table({name: list(plain[name]) for name in plain.colnames}, schema=schema), "radians.parquet")
positions(50, "arcmin", 60).write("minutes.ecsv")

places = [(f"{np.radians(10.5 + i)}", f"{np.radians(-1 - i / 100)}", "SE"[i % 2]) for i in range(30)]
other = Table(rows=[*places, ("0.2", "-1:00:00", "S")], names=("x", "y", "TYPE"))
other["x"].unit = other["y"].unit = "rad"
other.write("other.ecsv")
