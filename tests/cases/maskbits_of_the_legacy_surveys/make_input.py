"""The Legacy Surveys: an inverse variance for each band, and one file of bits for a brick: saturated in r there."""

from support.tile_layouts import extension, marked, sky_image, write_bands, write_file, write_objects

write_bands(lambda seed: [extension(sky_image(seed), "")], "T_image_{}.fits")
write_bands(lambda seed: [extension(marked(9, 9, "f4"), "")], "T_invvar_{}.fits")
write_file("T_image_maskbits.fits", [extension(marked(2**3, elsewhere=2**1), "MASKBITS")])  # SATUR_R, BRIGHT
write_objects()
