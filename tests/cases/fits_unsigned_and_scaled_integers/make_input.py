"""Unsigned and scaled integers, which FITS stores with an offset (TZERO) and a factor (TSCAL), some without a value."""

from pathlib import Path

import numpy as np
from astropy.io import fits

columns = [
    fits.Column("COADD_OBJECT_ID", "K", bzero=2**63, array=np.array([2**63 - 1, 7, 8], np.uint64)),
    fits.Column("RA", "D", array=[10.5, 11.5, 12.5]),
    fits.Column("DEC", "D", array=[1.5, -2.5, 3.5]),
    fits.Column("MAG_AUTO_G", "I", array=np.array([-1500, -32768, 250], np.int16), null=-32768),
    fits.Column("FLAGS_G", "I", bzero=2**15, array=np.array([3, 0, 40_000], np.uint16)),
]
fits.BinTableHDU.from_columns(columns).writeto("scaled.fits")
data = Path("scaled.fits").read_bytes()
cards = "".join(f"{name:8}= {value:>20}".ljust(80) for name, value in (("TSCAL4", 0.001), ("TZERO4", 20.0))).encode()
end = data.index(b"END" + b" " * 77, 2880)
data = data[:end] + cards + data[end : end + 80] + data[end + 80 + len(cards) :]
Path("scaled.fits").write_bytes(data)
