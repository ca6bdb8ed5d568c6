"""Sizes that are 0, missing or absurd: a radius of a degree would empty the sky, and none still guards 5 arcsec."""

from support.galaxy_pictures import elliptical, write_images, write_test_set

ARCSEC = 1 / 3600

tests = {1: (10.0, ""), 2: (20.0, 0), 3: (30.0, 3600)}
write_images(
    "tests",
    {n: elliptical(n, 64) for n in tests},
    ra={n: ra for n, (ra, _) in tests.items()},
    dec=dict.fromkeys(tests, 5.0),
    radius_arcsec={n: radius for n, (_, radius) in tests.items()},
)
write_test_set(1, 2, 3)
pool = {11: (10.0, 4.9), 12: (10.0, 5.1), 21: (20.0, 4.9), 22: (20.0, 5.1), 31: (30.0, 119.0), 32: (30.0, 121.0)}
write_images(
    "pool",
    {n: elliptical(n, 64) for n in pool},
    ra={n: ra for n, (ra, _) in pool.items()},
    dec={n: 5.0 + arcsec * ARCSEC for n, (_, arcsec) in pool.items()},
)
