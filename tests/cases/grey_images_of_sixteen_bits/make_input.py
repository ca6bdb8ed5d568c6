"""Grey PNGs of 16 bits: a conversion to RGB cuts every value above 255 to white."""

from pathlib import Path

import numpy as np
from PIL import Image

Path("images").mkdir()
y, x = np.indices((64, 64))
light = (60_000 * np.exp(-np.hypot(x - 32, y - 32) / 8)).astype(np.uint16)
Image.fromarray(light).save("images/grey16.png")
Image.fromarray((light // 256).astype(np.uint8)).save("images/grey8.png")
Path("images.csv").write_text("object_id,file,ra,dec\n1,grey16.png,1,1\n2,grey8.png,50,2\n")
