"""The DQ of JWST: DO_NOT_USE and SATURATED are bad, a repaired jump (bit 2) is not."""

from support.tile_layouts import extension, marked, sky_image, write_bands, write_objects

write_bands(
    lambda seed: [extension(sky_image(seed), "SCI"), extension(marked(2 + 4, elsewhere=4, dtype="u4"), "DQ")],
    TELESCOP="JWST",
)
write_objects()
