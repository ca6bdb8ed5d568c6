"""A weight map with half the pixels of its image, as some coadds have it."""

import numpy as np
from support.tile_layouts import extension, sky_image, write_bands, write_objects

write_bands(lambda seed: [extension(sky_image(seed), "SCI"), extension(np.zeros((60, 120), "f4"), "WHT")])
write_objects()
