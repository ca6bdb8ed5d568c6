"""A tile of LSST: the core is saturated by its own plane numbers, and every galaxy is in the plane DETECTED."""

from support.tile_layouts import extension, marked, sky_image, write_bands, write_objects

PLANES = {"HIERARCH MP_DETECTED": 0, "MP_CR": 1, "MP_INTRP": 2, "MP_SAT": 5, "HIERARCH MP_NO_DATA": 8}


def layers(seed: int) -> list:
    mask = marked(2**5, elsewhere=2**0 + 2**1 + 2**2)
    return [
        extension(sky_image(seed), "IMAGE"),
        extension(mask, "MASK", **PLANES),
        extension(marked(1, 1, "f4"), "VARIANCE"),
    ]


write_bands(layers)
write_objects()
