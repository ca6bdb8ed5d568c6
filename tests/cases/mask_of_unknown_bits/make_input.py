"""A DQ and a FLAG of a camera that is not known: their bits may mean anything."""

from support.tile_layouts import extension, marked, sky_image, write_bands, write_objects

write_bands(
    lambda seed: [
        extension(sky_image(seed), "SCI"),
        extension(marked(64), "DQ"),
        extension(marked(64), "FLAG"),
    ],
    TELESCOP="CTIO 4.0-m telescope",
)
write_objects()
