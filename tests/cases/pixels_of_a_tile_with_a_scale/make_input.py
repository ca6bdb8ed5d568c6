"""Pixels stored as integers with BSCALE and BZERO; in another file these cards are texts, which readers let crash."""

from pathlib import Path

import numpy as np
from astropy.io import fits
from support.tile_layouts import image_header, sky_image, write_objects

for folder in ("t", "u"):
    Path(folder).mkdir()
    for seed, band in enumerate("gri"):
        hdu = fits.ImageHDU(np.round((sky_image(seed) - 500) / 0.02).astype("i4"), image_header())
        hdu.writeto(f"{folder}/T_{band}.fits")
        path = Path(f"{folder}/T_{band}.fits")
        data = path.read_bytes()
        cards = (("BSCALE", "0.02" if folder == "t" else "'0.02'"), ("BZERO", "500.0" if folder == "t" else "'500.0'"))
        text = "".join(f"{name:8}= {value:>20}".ljust(80) for name, value in cards).encode()
        end = data.index(b"END" + b" " * 77, 2880)
        path.write_bytes(data[:end] + text + data[end : end + 80] + data[end + 80 + len(text) :])
write_objects()
