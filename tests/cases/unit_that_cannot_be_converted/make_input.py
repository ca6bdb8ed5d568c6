"""Units that nobody knows, or of another kind of thing: a unit is never passed over."""

import numpy as np
from astropy.table import Table

for name, units in {
    "furlongs": {"RA": "furlong"}, "seconds": {"RA": "s"}, "counts": {"MAG_AUTO_G": "adu"},
    "log": {"MAG_AUTO_G": "[mJy]"}, "time": {"DEC": "h"},
}.items():  # fmt: skip
    table = Table(
        {"COADD_OBJECT_ID": np.arange(2) + 1, "RA": [1.0, 2.0], "DEC": [1.0, 2.0], "MAG_AUTO_G": [17.0, 18.0]}
    )
    for column, unit in units.items():
        table[column].unit = unit if unit not in ("furlong", "[mJy]") else None
    table.write(f"{name}.vot", format="votable")
    if unit in ("furlong", "[mJy]"):
        with open(f"{name}.vot") as file:
            text = file.read()
        with open(f"{name}.vot", "w") as file:
            file.write(text.replace(f'name="{column}"', f'name="{column}" unit="{unit}"'))
