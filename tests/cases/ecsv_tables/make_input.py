"""ECSV as astropy writes it: with commas, named .csv, gzipped, with masked cells, and a number beyond its type."""

import gzip
from pathlib import Path

import numpy as np
from astropy.table import MaskedColumn, Table

BIG = 2**62 + 1
table = Table(
    {
        "COADD_OBJECT_ID": [BIG, 2, 3],
        "RA": [1.5, 2.5, 3.5],
        "DEC": [1.0, 2.0, 3.0],
        "TILENAME": ["\u00e9 1", "a, b", ""],
    }
)
table["MAG_AUTO_G"] = MaskedColumn([17.5, 0.0, 18.5], mask=[False, True, False], unit="mag")
table["FLAGS_G"] = MaskedColumn(np.array([1, 2, 3], np.int16), mask=[True, False, False])
table["PSF"] = np.ones((3, 2))
table.write("plain.ecsv")
table["COADD_OBJECT_ID"][:] = [BIG - 1, 5, 6]
table.write("commas.csv", format="ascii.ecsv", delimiter=",")
table["COADD_OBJECT_ID"][:] = [7, 8, 9]
table.write("more.ecsv")
Path("packed.ecsv.gz").write_bytes(gzip.compress(Path("more.ecsv").read_bytes()))
text = Path("plain.ecsv").read_text()
Path("beyond.ecsv").write_text(
    text.replace("datatype: int16", "datatype: int8").replace("\n2 2.5", "\n2 2.5").replace(" 3 [", " 300 [")
)
Path("short.ecsv").write_text(text.replace(" 3.5 3.0", " 3.5"))
Path("id.ecsv").write_text(text.replace("\n2 2.5", "\n123456789012345678901 2.5"))
Path("text.ecsv").write_text(text.replace("\n2 2.5", "\nx 2.5"))
