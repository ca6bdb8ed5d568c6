"""A tile whose header names its observer in Latin-1 and its history in UTF-8."""

import io
from pathlib import Path

import numpy as np
from astropy.io import fits
from support.coadd_tile import tile_wcs

header = tile_wcs(200).to_header()
header["MAGZERO"], header["BANDS"], header["OBSERVER"] = 30.0, "gri", "J?rg"
header["HISTORY"] = "made by ??"
planes = np.random.default_rng(0).normal(0, 1, (3, 200, 200)).astype(np.float32)
planes[:, 95:105, 95:105] += 50
out = io.BytesIO()
fits.PrimaryHDU(planes, header).writeto(out)
Path("tiles").mkdir()
data = out.getvalue().replace(b"J?rg", b"J\xfcrg").replace(b"made by ??", "made by č".encode())
Path("tiles/cube.fits").write_bytes(data)
Path("objects.csv").write_text("object_id,ra,dec,radius_arcsec\n1,20.0,-10.0,3.0\n")
