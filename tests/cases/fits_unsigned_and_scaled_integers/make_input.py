"""Unsigned and scaled integers, which FITS stores with an offset (TZERO) and a factor (TSCAL), some without a value."""

import numpy as np
from astropy.io import fits

columns = [
    fits.Column("COADD_OBJECT_ID", "K", bzero=2**63, array=np.array([2**63 - 1, 7], np.uint64)),
    fits.Column("RA", "D", array=[10.5, 11.5]),
    fits.Column("DEC", "D", array=[1.5, -2.5]),
    fits.Column("MAG_AUTO_G", "I", array=np.array([0, 0], np.int16)),
    fits.Column("FLAGS_G", "I", bzero=2**15, array=np.array([40_000, 3], np.uint16)),
]
hdu = fits.BinTableHDU.from_columns(columns)
hdu.writeto("scaled.fits")
with fits.open("scaled.fits", mode="update", do_not_scale_image_data=True) as file:
    file[1].data["MAG_AUTO_G"][:] = [-1500, -32768]
with fits.open("scaled.fits", mode="append") as file:
    pass
text = open("scaled.fits", "rb").read()
cards = "".join(f"{name:8}= {value:>20}".ljust(80) for name, value in (("TSCAL4", 0.001), ("TZERO4", 20.0), ("TNULL4", -32768)))
end = text.index(b"END" + b" " * 77, 2880)
text = text[:end] + cards.encode() + text[end : end + 80] + text[end + 80 + len(cards) :]
open("scaled.fits", "wb").write(text)
