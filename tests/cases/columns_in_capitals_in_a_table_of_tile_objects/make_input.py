"""The objects to be cut from a tile are listed with RA, DEC and Radius_arcsec in capitals."""

from pathlib import Path

import numpy as np
from support.coadd_tile import tile_wcs, write_tile

write_tile(Path("tiles"), "t", np.random.default_rng(1).normal(0, 10, (3, 300, 300)).astype("f4"), tile_wcs(300))
Path("objects.csv").write_text("OBJECT_ID,RA,DEC,Radius_arcsec,FLUX\n7,20.0,-10.0,3,99\n")
