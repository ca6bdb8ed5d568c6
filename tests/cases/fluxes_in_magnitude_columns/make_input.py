"""Columns of magnitudes that hold fluxes, as their units say; some fluxes are not positive."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from astropy.table import Table

NMGY = np.array([1.0, 100.0, -0.5, 0.0])  # magnitudes 22.5, 17.5, none, none


def table(first_id: int, flux: np.ndarray, unit: str) -> Table:
    made = Table(
        {
            "COADD_OBJECT_ID": np.arange(len(flux)) + first_id,
            "RA": 10.0 + np.arange(len(flux)),
            "DEC": np.zeros(len(flux)),
        }
    )
    made["MAG_AUTO_R"] = flux
    made["MAG_AUTO_R"].unit = unit
    return made


table(10, NMGY, "nmgy").write("nanomaggies.ecsv")
table(20, NMGY * 3.631, "uJy").write("microjansky.fits")
table(30, NMGY * 3631, "nJy").write("nanojansky.vot", format="votable")
table(40, np.array([22.5, 17.5]), "mag(AB)").write("magnitudes.ecsv")
field = pa.field("MAG_AUTO_R", pa.float64(), metadata={"unit": "3631e-9 Jy"})
made = table(50, NMGY, "nmgy")
columns = [pa.array(made[name]) for name in made.colnames]
fields = [pa.field(name, column.type) for name, column in zip(made.colnames[:3], columns[:3], strict=True)]
pq.write_table(pa.table(columns, schema=pa.schema([*fields, field])), "maggies.parquet")
