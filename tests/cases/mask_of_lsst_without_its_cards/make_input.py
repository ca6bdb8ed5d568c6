"""IMAGE, MASK and VARIANCE as LSST orders them, but a tool has lost the MP_ cards that number the planes."""

from support.tile_layouts import extension, marked, sky_image, write_bands, write_objects

write_bands(
    lambda seed: [
        extension(sky_image(seed), "IMAGE"),
        extension(marked(2, elsewhere=32), "MASK"),  # SAT, DETECTED
        extension(marked(1, 1, "f4"), "VARIANCE"),
    ]
)
write_objects()
