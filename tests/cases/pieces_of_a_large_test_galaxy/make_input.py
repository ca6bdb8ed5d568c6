"""A large test galaxy (Petrosian radius 20 arcsec), and a survey that breaks it into pieces up to 40 arcsec off."""

from support.galaxy_pictures import elliptical, write_images, write_test_set

ARCSEC = 1 / 3600

write_images("tests", {1: elliptical(1, 64)}, ra={1: 150.0}, dec={1: 2.0}, radius_arcsec={1: 20.0})
write_test_set(1)
north = {11: 30.0, 12: -39.0, 13: 41.0}
write_images(
    "pool",
    {n: elliptical(n, 64) for n in north},
    ra=dict.fromkeys(north, 150.0),
    dec={n: 2.0 + arcsec * ARCSEC for n, arcsec in north.items()},
)
