"""Positions in radians, and right ascensions in hours, as their units say, in each format that states units."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from astropy.table import Table

RA, DEC = np.array([30.1, 120.2, 300.3]), np.array([-0.5, -20.0, 10.0])


def table(first_id: int, ra: np.ndarray, ra_unit: str, dec: np.ndarray, dec_unit: str) -> Table:
    made = Table({"COADD_OBJECT_ID": np.arange(3) + first_id, "RA": ra, "DEC": dec})
    made["RA"].unit, made["DEC"].unit = ra_unit, dec_unit
    return made


def parquet(made: Table, file: str) -> None:
    fields = [
        pa.field(name, pa.array(made[name]).type, metadata={"unit": str(made[name].unit or "")})
        for name in made.colnames
    ]
    pq.write_table(pa.table([pa.array(made[name]) for name in made.colnames], schema=pa.schema(fields)), file)


table(100, np.radians(RA), "rad", np.radians(DEC), "rad").write("radians.fits")
table(110, RA / 15, "h", DEC, "deg").write("hours.fits")
table(120, RA / 15, "h", DEC, "deg").write("hours.vot", format="votable")
table(130, np.radians(RA), "rad", np.radians(DEC), "rad").write("radians.vot", format="votable")
table(140, RA / 15, "hourangle", DEC * 60, "arcmin").write("hours.ecsv")
table(150, np.radians(RA), "rad", np.radians(DEC), "rad").write("astropy.parquet")
parquet(table(160, RA / 15, "h", DEC * 3600, "arcsec"), "hours.parquet")
