"""A cell begins with a quote that nothing ends, and the rows after it become its text."""

from pathlib import Path

import numpy as np
from support.coadd_tile import tile_wcs, write_tile
from support.workspaces import write_images

write_images(Path("images"), [f"g{i}.png" for i in range(4)])
write_tile(Path("tiles"), "t", np.random.default_rng(1).normal(0, 10, (3, 300, 300)).astype("f4"), tile_wcs(300))
Path("labels.csv").write_text(
    'object_id,label,annotator\n1000,spiral,ann\n1001,spiral,"bob\n1002,spiral,cyd\n1003,elliptical,dan\n'
)
Path("truth.csv").write_text('object_id,label,comment\n1000,spiral,fine\n1001,elliptical,"5 arcsec\n1002,spiral,\n')
Path("images.csv").write_text('object_id,file,comment\n2000,g0.png,fine\n2001,g1.png,"bright star\n2002,g2.png,\n')
Path("objects.csv").write_text('object_id,ra,dec,comment\n1,20,-10,"a\n2,20.001,-10,\n')
Path("des.csv").write_text('COADD_OBJECT_ID,RA,DEC,NOTE\n1,1,1,ok\n2,2,1,"oops\n3,3,1,ok\n')
Path("ask.csv").write_text('object_id,survey,note\n1000,des,"a\n1001,des,\n')
