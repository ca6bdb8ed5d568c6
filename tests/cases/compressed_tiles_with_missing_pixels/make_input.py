"""Tiles compressed by Rice, with pixels that have no value: NaN of real numbers, BLANK of integers."""

from pathlib import Path

import numpy as np
from astropy.io import fits
from support.tile_layouts import image_header, marked, sky_image, write_objects

for folder, how in (("t", "real"), ("u", "integer"), ("v", "plain")):
    Path(folder).mkdir()
    for seed, band in enumerate("gri"):
        data = np.where(marked(1) == 1, np.nan, sky_image(seed))
        header = image_header()
        if how == "real":
            hdu = fits.CompImageHDU(data.astype("f4"), header, compression_type="RICE_1")
        else:
            header["BLANK"] = -32768
            whole = np.where(np.isnan(data), -32768, np.round(data)).astype("i2")
            hdu = fits.CompImageHDU(whole, header) if how == "integer" else fits.ImageHDU(whole, header)
        fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(f"{folder}/T_{band}.fits")
write_objects()
for first, name in ((10, "u.csv"), (20, "v.csv")):
    lines = Path("objects.csv").read_text().splitlines()
    Path(name).write_text("\n".join([lines[0], *(f"{first + k},{lines[k].split(',', 1)[1]}" for k in (1, 2))]) + "\n")
