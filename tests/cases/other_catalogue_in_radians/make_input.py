"""The positions of another catalogue in radians, as its units say, and its shares in per cent."""

import numpy as np
from astropy.table import Table

i = np.arange(30)
table = Table(
    {"coord_ra": np.radians(10.5 + i), "coord_dec": np.radians(-1 - i / 100), "TYPE": np.where(i % 2, "S", "E")}
)
table["p_s"], table["p_e"] = np.where(i % 2, 70.0, 0.6), np.where(i % 2, 0.6, 70.0)
table["coord_ra"].unit = table["coord_dec"].unit = "rad"
table["p_s"].unit = table["p_e"].unit = "%"
for file, kind in {
    "other.fits": "fits",
    "other.vot": "votable",
    "other.ecsv": "ascii.ecsv",
    "other.parquet": "parquet",
}.items():
    table.write(file, format=kind)
with open("labels.csv", "w") as file:
    file.write("object_id,label\n" + "".join(f"{1000 + k},{'spiral' if k % 2 else 'elliptical'}\n" for k in i))
