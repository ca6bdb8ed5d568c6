"""A tile of JWST whose ERR is NaN on a core that has a value in SCI."""

import numpy as np
from support.tile_layouts import extension, marked, sky_image, write_bands, write_objects

write_bands(lambda seed: [extension(sky_image(seed), "SCI"), extension(marked(np.nan, 1, "f4"), "ERR")])
write_objects()
