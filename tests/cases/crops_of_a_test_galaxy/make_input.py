"""Pool images without positions show a test galaxy with half, three quarters, 1.5 and 2 times its field of view."""

from PIL import ImageOps
from support.galaxy_pictures import crop, elliptical, jpeg, write_images, write_test_set

wide = elliptical(1, 400, companions=12)
write_images("tests", {1: crop(wide, 0.5)})
write_test_set(1)
copies = {
    11: crop(wide, 0.25),
    12: jpeg(crop(wide, 0.375), 90),
    13: ImageOps.mirror(crop(wide, 0.75)),
    14: jpeg(wide.rotate(90), 90),
}
others = {n: crop(elliptical(n, 400, companions=12), 0.5 + 0.05 * (n - 20)) for n in range(20, 26)}
write_images("pool", copies | others)
