"""Every row of a table is bad. A script that looks at the exit code must hear of it."""

from pathlib import Path

import numpy as np
from support.coadd_tile import tile_wcs, write_tile
from support.workspaces import write_images

write_images(Path("images"), [f"g{i}.png" for i in range(1)])
write_tile(Path("tiles"), "t", np.random.default_rng(1).normal(0, 10, (3, 300, 300)).astype("f4"), tile_wcs(300))
Path("labels.csv").write_text("object_id,label\n1000,merger\nNGC 5,spiral\n")
Path("images.csv").write_text("object_id,file\n1,none.png\n")
Path("objects.csv").write_text("object_id,ra,dec\n1,400,-10\n")
Path("des.csv").write_text("COADD_OBJECT_ID,RA,DEC\n1,x,1\n2,2\n")
Path("other.csv").write_text("id,type\n1000,lenticular\n")
