"""A pixel scale of images is mistyped as a negative number, or is NaN because a shell variable was computed wrongly."""

from pathlib import Path

import numpy as np
from PIL import Image

Path("im").mkdir()
noise = np.random.default_rng(1).integers(0, 200, (64, 64, 3), np.uint8)
Image.fromarray(noise).save("im/a.png")
Path("base.csv").write_text("object_id,file\n1,a.png\n")
