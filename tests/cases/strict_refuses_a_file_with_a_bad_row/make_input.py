"""With --strict a script gets all rows or none: one bad row, and nothing is recorded."""

from pathlib import Path

import numpy as np
from support.coadd_tile import tile_wcs, write_tile
from support.workspaces import write_images

write_images(Path("images"), [f"g{i}.png" for i in range(1)])
write_tile(Path("tiles"), "t", np.random.default_rng(1).normal(0, 10, (3, 300, 300)).astype("f4"), tile_wcs(300))
Path("labels.csv").write_text("object_id,label\n1000,spiral\n1001,merger\n")
Path("images.csv").write_text("object_id,file\n1,g0.png\n2,none.png\n")
Path("objects.csv").write_text("object_id,ra,dec\n1,20,-10\n2,,-10\n")
Path("sdss.csv").write_text("objid,ra,dec\n1,1,1\n2,2\n")
Path("twice.csv").write_text("object_id,label,survey\n1000,spiral,des\n1000,spiral,des\n")
