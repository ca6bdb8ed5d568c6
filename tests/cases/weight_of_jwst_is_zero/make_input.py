"""A tile of JWST: SCI, ERR and WHT, whose weight is zero where no exposure has a good pixel."""

from support.tile_layouts import extension, marked, sky_image, write_bands, write_objects

write_bands(
    lambda seed: [
        extension(sky_image(seed), "SCI"),
        extension(marked(1, 1, "f4"), "ERR"),
        extension(marked(0, 7, "f4"), "WHT"),
        extension(marked(5, 5, "i4"), "CON"),
    ],
    TELESCOP="JWST",
)
write_objects()
