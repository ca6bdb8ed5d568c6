"""astropy writes masked columns to Parquet as numbers and masks apart, and units that FITS lacks into comments."""

import numpy as np
from astropy import units as u
from astropy.coordinates import FK4, SkyCoord
from astropy.table import MaskedColumn, QTable, Table

table = Table({"COADD_OBJECT_ID": [1, 2], "RA": [10.0, 11.0], "DEC": [1.0, 2.0]})
table["MAG_AUTO_G"] = MaskedColumn([0.0, 17.5], mask=[True, False])
table["FLAGS_G"] = MaskedColumn(np.array([0, 3], np.int16), mask=[True, False])
table.write("masked.parquet")

fluxes = QTable({"COADD_OBJECT_ID": [3], "RA": [12.0] * u.deg, "DEC": [3.0] * u.deg, "MAG_AUTO_G": [100.0] * u.nmgy})
fluxes.write("fluxes.fits")

i = np.arange(30)
place = SkyCoord((10.5 + i) * u.deg, (-1 - i / 100) * u.deg).transform_to(FK4(equinox="B1950"))
QTable({"place": place, "type": np.where(i % 2, "spiral", "elliptical")}).write("places.fits")
QTable({"place": place, "type": np.where(i % 2, "spiral", "elliptical")}).write("places.parquet")
with open("labels.csv", "w") as file:
    file.write("object_id,label\n" + "".join(f"{1000 + k},{'spiral' if k % 2 else 'elliptical'}\n" for k in i))
