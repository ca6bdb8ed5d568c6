"""Ids and positions are named as other catalogues name them; each required one is asked for by its name."""

from pathlib import Path

import numpy as np
from support.coadd_tile import tile_wcs, write_tile

write_tile(Path("tiles"), "t", np.random.default_rng(1).normal(0, 10, (3, 300, 300)).astype("f4"), tile_wcs(300))
Path("objects.csv").write_text("objID,RA_deg,DE_deg\n1,20,-10\n")
Path("near.csv").write_text("object_id,ra,dec,radius\n1,20,-10,3\n")
