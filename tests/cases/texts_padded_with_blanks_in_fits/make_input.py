"""FITS fills up texts with blanks, and some readers keep them: `spiral    ` is no class, and no id is found."""

from pathlib import Path

import numpy as np
from astropy.io import fits

ids = np.array([b"1000   ", b" 1001  ", b"1002\0\0\0"], "S7")
types = np.array([b"spiral    ", b"elliptical", b"spiral  "], "S10")
fits.BinTableHDU.from_columns([fits.Column("ID", "7A", array=ids), fits.Column("TYPE", "10A", array=types)]).writeto(
    "padded.fits"
)
data = Path("padded.fits").read_bytes().replace(b"spiral\0\0\0\0", b"spiral    ")
Path("padded.fits").write_bytes(data)
Path("labels.csv").write_text("object_id,label\n1000,spiral\n1001,elliptical\n1002,elliptical\n")
columns = [
    fits.Column("COADD_OBJECT_ID", "K", array=[1, 2]),
    fits.Column("RA", "D", array=[10.5, 11.5]),
    fits.Column("DEC", "D", array=[1.5, -2.5]),
    fits.Column("TILENAME", "12A", array=["DES0001-4914", "xxxxxxxxxxxx"]),
]
fits.BinTableHDU.from_columns(columns).writeto("des.fits")
Path("des.fits").write_bytes(Path("des.fits").read_bytes().replace(b"xxxxxxxxxxxx", b"DES 2       "))
