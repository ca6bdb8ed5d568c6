"""A tile in nanojansky (LSST) whose MAGZERO was left from a tile of DES."""

from support.tile_layouts import extension, sky_image, write_bands, write_objects

write_bands(lambda seed: [extension(sky_image(seed), "IMAGE", BUNIT="nJy")])
write_objects()
