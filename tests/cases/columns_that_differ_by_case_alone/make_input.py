"""A table has both RA and ra, or Label and label, as a join of two tables leaves behind."""

from pathlib import Path

import numpy as np
from support.coadd_tile import tile_wcs, write_tile
from support.workspaces import write_images

write_images(Path("images"), [f"g{i}.png" for i in range(1)])
write_tile(Path("tiles"), "t", np.random.default_rng(1).normal(0, 10, (3, 300, 300)).astype("f4"), tile_wcs(300))
Path("images.csv").write_text("object_id,file,RA,ra,dec\n1,g0.png,1,2,3\n")
Path("labels.csv").write_text("object_id,label,Label\n1000,spiral,elliptical\n")
Path("objects.csv").write_text("object_id,ra,dec,Dec\n1,20,-10,-11\n")
Path("des.csv").write_text("COADD_OBJECT_ID,RA,DEC,ra\n1,1,1,2\n")
