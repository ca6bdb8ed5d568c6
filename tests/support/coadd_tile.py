"""Simulate a coadd tile in the layout of DES: known galaxies on a noisy sky.

Galaxies lie in the cells of a grid, each at a random position near the middle of its cell, at any fraction of a pixel.
None overlaps another, and their centres are known exactly. They have no companions. The three planes are in memory at
once (1.2 GB for 10,000 x 10,000 pixels).
"""

import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from astropy.io import fits
from astropy.wcs import WCS

from catbuilder.simulation.galaxies import SurveyPlan, draw_galaxies
from catbuilder.simulation.galaxy import Galaxy, random_stream
from catbuilder.simulation.telescopes import DES, Scene, Telescope

ZERO_POINT = 30.0  # AB magnitude of one count, as in DES coadds
_COUNTS = 10 ** (0.4 * (ZERO_POINT - 22.5))  # in a nanomaggy
_FRAME_RADII = 6.0  # a galaxy is drawn to this many of its radii, and its cell's width at most


@dataclass(frozen=True)
class TileGalaxy:
    """A galaxy of the tile and its position; pixel 0 has its centre at 0."""

    galaxy: Galaxy
    object_id: int
    x: float
    y: float
    ra: float
    dec: float


def tile_wcs(side: int, ra: float = 20.0, dec: float = -10.0) -> WCS:
    """Make the gnomonic projection about the tile's centre: north up, east left, 0.263 arcsec a pixel."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval = [ra, dec]
    wcs.wcs.crpix = [(side + 1) / 2, (side + 1) / 2]
    wcs.wcs.cd = np.array([[-1, 0], [0, 1]]) * DES.arcsec_per_pixel / 3600
    return wcs


def place_galaxies(side: int, count: int, seed: int, ra: float = 20.0, dec: float = -10.0) -> list[TileGalaxy]:
    """Place `count` galaxies on a tile of `side` pixels, numbered from 1."""
    plan = SurveyPlan(training=0, hp=count, fo=0, calibration=0, pool=0, faults=0)
    cells = math.ceil(math.sqrt(count))
    width = side / cells
    rng = random_stream(seed, 2, "survey")
    jitter = rng.uniform(-0.15, 0.15, (count, 2))
    place = np.column_stack(np.divmod(np.arange(count), cells))[:, ::-1] + 0.5 + jitter
    sky = tile_wcs(side, ra, dec).all_pix2world(place * width - 0.5, 0)
    return [
        TileGalaxy(replace(galaxy, companions=()), k + 1, *(place[k] * width - 0.5).tolist(), *sky[k].tolist())
        for k, galaxy in enumerate(draw_galaxies(plan, seed))
    ]


def light_of(galaxy: Galaxy, telescope: Telescope, pixels: int, offset: tuple[float, float]) -> np.ndarray:
    """Draw a galaxy without noise, `offset` pixels from the middle: (pixels, pixels, 3), nanomaggies; i, r, g."""
    scene = Scene(galaxy)
    return np.stack([scene.band(telescope, band, pixels, offset=offset) for band in range(3)], axis=-1)


def draw_planes(side: int, galaxies: list[TileGalaxy], seed: int) -> npt.NDArray[np.float32]:
    """Draw the counts of the bands g, r, i, shape (3, side, side): light, and the noise of the DES sky."""
    planes = np.empty((3, side, side), np.float32)
    for band in range(3):  # the telescope's order is i, r, g
        rng = random_stream(seed, 3 + band, "des")
        for row in planes[band]:
            row[:] = DES.sky_noise[2 - band] * rng.standard_normal(side, dtype=np.float32)
    cell = int(side / math.ceil(math.sqrt(len(galaxies))))
    for one in galaxies:
        reach = 2 * _FRAME_RADII * max(one.galaxy.radius_arcsec, 2.0) / DES.arcsec_per_pixel
        pixels = min(int(reach), int(0.65 * cell)) // 2 * 2 + 1  # odd: the frame's centre is a pixel's
        column, row = round(one.x), round(one.y)
        light = light_of(one.galaxy, DES, pixels, (one.x - column, one.y - row))
        left, bottom = column - pixels // 2, row - pixels // 2
        planes[:, bottom : bottom + pixels, left : left + pixels] += light.transpose(2, 0, 1)[::-1]
    return np.multiply(planes, _COUNTS, out=planes)


def write_tile(
    folder: Path, name: str, planes: npt.NDArray[np.float32], wcs: WCS, *, compressed: bool = False, masks: bool = True
) -> list[Path]:
    """Write one file a band, `<name>_g.fits` or `.fits.fz` (Rice), with the HDUs SCI and, with `masks`, MSK and WGT."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for band, plane in zip("gri", planes, strict=True):
        header = wcs.to_header()
        header["MAGZERO"], header["BAND"] = ZERO_POINT, band
        layers = [("SCI", plane)]
        if masks:
            layers += [("MSK", np.zeros(plane.shape, np.int32)), ("WGT", np.ones(plane.shape, np.float32))]
        kind = fits.CompImageHDU if compressed else fits.ImageHDU
        hdus = [kind(data, header, name=title) for title, data in layers]
        paths.append(folder / f"{name}_{band}.fits{'.fz' if compressed else ''}")
        fits.HDUList([fits.PrimaryHDU(), *hdus]).writeto(paths[-1], overwrite=True)
    return paths
