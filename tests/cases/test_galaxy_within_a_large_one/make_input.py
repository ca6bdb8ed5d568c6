"""A test galaxy without a measured size 25 arcsec from the centre of a large galaxy of the pool, and across RA 0."""

from support.galaxy_pictures import elliptical, write_images, write_test_set

ARCSEC = 1 / 3600

write_images("tests", {1: elliptical(1, 64)}, ra={1: 0.001}, dec={1: -1.0})
write_test_set(1)
write_images(
    "pool",
    {11: elliptical(11, 64), 12: elliptical(12, 64)},
    ra={11: (0.001 - 25 * ARCSEC) % 360, 12: (0.001 + 25 * ARCSEC) % 360},
    dec={11: -1.0, 12: -1.0},
    radius_arcsec={11: 15.0, 12: 9.0},
)
