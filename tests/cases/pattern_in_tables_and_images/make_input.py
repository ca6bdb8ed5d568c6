"""Images, their table, a list of labels and a test set, all with brackets in their names, beside files that match."""

from pathlib import Path

import numpy as np
from PIL import Image

rng = np.random.default_rng(0)
for folder, files in (("cut-outs [1]", ("g[1].png", "g*.png")), ("cut-outs 1", ("g1.png",))):
    Path(folder).mkdir()
    for file in files:
        y, x = np.mgrid[:64, :64] - 32.0
        light = 200 * np.exp(-np.hypot(x, y) / rng.uniform(4, 8)) + rng.normal(15, 4, (64, 64))
        Image.fromarray(light.clip(0, 255).astype(np.uint8)).convert("RGB").save(Path(folder, file))
Path("t[1].csv").write_text("object_id,file,ra,dec\n2001,g[1].png,200.0,1.0\n2002,g*.png,201.0,1.0\n")
Path("t1.csv").write_text("object_id,file,ra,dec\n2009,g1.png,209.0,1.0\n")
Path("l?.csv").write_text("object_id,survey,label\n2001,des,spiral\n")
Path("lx.csv").write_text("object_id,survey,label\n2001,des,elliptical\n")
Path("hp*.csv").write_text("object_id,label\n2002,spiral\n")
Path("hp1.csv").write_text("object_id,label\n2002,elliptical\n")
