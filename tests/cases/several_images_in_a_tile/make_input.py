"""A file holds two images, and neither is named as the science image: the first was cut."""

from support.tile_layouts import extension, sky_image, write_bands, write_objects

write_bands(lambda seed: [extension(sky_image(seed), "CHIP1"), extension(sky_image(seed + 5), "CHIP2")])
write_objects()
