"""Write small coadd tiles in the layouts of several surveys, for the corpus in tests/cases.

Each has two galaxies: object 1 at pixel (60, 60), on which the layouts put bad pixels, and object 2 at (180, 60).
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
from astropy.io import fits
from astropy.wcs import WCS

SHAPE = (120, 240)
CENTRES = {1: (60, 60), 2: (180, 60)}  # x, y of each object

Array = npt.NDArray[np.generic]


def plane_wcs(arcsec_per_pixel: float = 0.263) -> WCS:
    """Make a gnomonic projection: north up, east left."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.cunit = ["RA---TAN", "DEC--TAN"], ["deg", "deg"]
    wcs.wcs.crval, wcs.wcs.crpix = [30.0, -1.0], [120.5, 60.5]
    wcs.wcs.cd = np.array([[-1, 0], [0, 1]]) * arcsec_per_pixel / 3600
    return wcs


def sky_image(seed: int = 0) -> npt.NDArray[np.float32]:
    """Draw two galaxies on a noisy sky."""
    y, x = np.indices(SHAPE)
    light = sum(400 * np.exp(-np.hypot(x - column, y - row) / 4) for column, row in CENTRES.values())
    return (np.random.default_rng(seed).normal(0, 2, SHAPE) + light).astype(np.float32)


def marked(value: float, elsewhere: float = 0, dtype: str = "i4") -> Array:
    """Make a mask or weight with `value` on the core of object 1 and `elsewhere` on all other pixels."""
    layer = np.full(SHAPE, elsewhere, dtype)
    layer[55:66, 55:66] = value
    return layer


def image_header(**cards: object) -> fits.Header:
    """Make the header of a science image, with WCS and zero point."""
    header = plane_wcs().to_header()
    header["MAGZERO"] = 30.0
    header.update(cards)
    return header


def extension(data: Array, name: str, **cards: object) -> fits.ImageHDU:
    """Make an extension with the WCS of the image."""
    return fits.ImageHDU(data, image_header(**cards), name=name)


def write_bands(layers: Callable[[int], list[fits.ImageHDU]], name: str = "T_{}.fits", **primary: object) -> None:
    """Write a file for each of the bands g, r, i into the folder `t`; `layers` makes its extensions from a seed."""
    for seed, band in enumerate("gri"):
        write_file(name.format(band), layers(seed), **primary)


def write_file(name: str, layers: list[fits.ImageHDU], **primary: object) -> None:
    """Write a file of extensions into the folder `t`, with cards in the primary header."""
    path = Path("t") / name
    path.parent.mkdir(exist_ok=True)
    first = fits.PrimaryHDU()
    first.header.update(primary)
    fits.HDUList([first, *layers]).writeto(path)


def write_objects() -> None:
    """Write the table objects.csv of both galaxies."""
    lines = ["object_id,ra,dec,radius_arcsec"]
    for object_id, (x, y) in CENTRES.items():
        ra, dec = plane_wcs().pixel_to_world_values(x, y)
        lines.append(f"{object_id},{ra:.8f},{dec:.8f},4")
    Path("objects.csv").write_text("\n".join(lines) + "\n")
