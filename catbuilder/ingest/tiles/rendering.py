"""Render calibrated pixels into colour stamps that look alike for every survey (Lupton et al. 2004).

Input is surface brightness (nanomaggies per square arcsec, AB), so zero points and pixel scales are removed, and one
stretch serves every object of every survey. Two stamps of one galaxy then differ only in seeing and noise. A very
bright or faint galaxy is shown bright or faint: stretching each by its own brightness would hide that, and would make
its colours and sky depend on its neighbours.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from astropy.stats import sigma_clipped_stats
from PIL import Image
from scipy import ndimage

from catbuilder.ingest.picture import quality_flags

Floats = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]

BANDS = "griz"
"""Bands that can be used for the colours, from blue to red."""

# They make a galaxy of g - r = 0.6, r - i = 0.25, i - z = 0.25 white; z replaces a missing i.
GAINS = {"g": 1.7, "r": 1.0, "i": 0.8, "z": 0.63}
# Chosen on pairs of simulated galaxies: arms at 1 nanomaggy per square arcsec (22.5 mag) are well above SDSS's noise
# of 0.1, and the nucleus of a bright elliptical, at 300, is not yet white.
STRETCH = 4.0  # nanomaggies per square arcsec
SOFTENING = 8.0  # Q of Lupton et al. (2004)
PEDESTAL = 16  # level of empty sky, so that its noise is not clipped at black

MAX_MASKED_FRACTION = 0.03
"""Share of bad pixels in the box above which a stamp is flagged; a trail or a small star's core stays below."""
CENTRAL_FRACTION = 0.125
"""A bad pixel closer to the centre than this part of the box's width flags the stamp."""

MISSING_PIXEL_FLAGS = frozenset(("masked", "truncated"))
"""Flags of a stamp that lacks pixels, which another tile may have."""

MARGIN = 0.1  # of the box's width, on each side: for the sky level, and for the Lanczos kernel
_SKY_FROM = 0.45  # of the width, from the centre: farther pixels count as sky
_DEAD_RUN = 8  # consecutive zeros
_SLOPE = 0.1  # slope of the stretch at 0, in units of x / STRETCH (as in astropy's make_lupton_rgb)


@dataclass(frozen=True)
class RenderedStamp:
    """A stamp with its quality flags."""

    pixels: npt.NDArray[np.uint8]  # (size, size, 3), north up if the tile's is
    flags: tuple[str, ...]  # keys of QUALITY_FLAGS
    reason: str | None  # a sentence if pixels are missing


def render(
    bands: Floats, bad: Bools, outside: Bools, names: str, x: float, y: float, width: float, size: int
) -> RenderedStamp:
    """Render the colour stamp of one object.

    Parameters
    ----------
    bands : (3, height, width), nanomaggies per square arcsec, blue to red. It extends `MARGIN` of the box's width
        beyond the box on each side
    bad : (height, width), pixels that a mask or a weight calls bad; this function adds NaN and blocks of zeros
    outside : (height, width), pixels beyond the tile
    names : the bands' letters
    x, y : the object's centre in this array, px; the centre of the first pixel is 0
    width : of the box, px
    size : of the stamp, px
    """
    bad = (bad | ~np.isfinite(bands).all(axis=0) | _zero_blocks(bands)) & ~outside
    distance = _distance(bands.shape[1:], x, y)
    sky = ~bad & ~outside & (distance > _SKY_FROM * width)
    levels, noise = background(bands[:, sky])
    if (noise <= 1e-5 * np.abs(levels)).any():  # below the rounding error: a constant, so never exposed
        bad = ~outside
    clean = np.where(bad | outside, np.float32(0), bands - levels[:, None, None])
    colours = lupton_colours(np.stack([resample(band, x, y, width, size) for band in clean]), names)
    pixels = np.ascontiguousarray(colours[::-1])  # FITS counts rows upwards, images downwards
    missing = _missing(bad, outside, distance <= width / 2, x, y, CENTRAL_FRACTION * width)
    return RenderedStamp(pixels, quality_flags(pixels) + tuple(missing), "; ".join(missing.values()) or None)


def background(sky: Floats) -> tuple[Floats, Floats]:
    """Measure level and noise (standard deviation) of each band in pixels that are mostly sky.

    These are median and MAD after clipping at 3 sigma, so that neighbours do not count.

    Parameters
    ----------
    sky : (bands, n) pixels; with fewer than 16 the level is 0 and the noise NaN
    """
    if sky.shape[1] < 16:
        return np.zeros(len(sky), np.float32), np.full(len(sky), np.nan, np.float32)
    _, level, noise = sigma_clipped_stats(sky, sigma=3.0, maxiters=5, stdfunc="mad_std", axis=1)
    return np.asarray(level, np.float32), np.asarray(noise, np.float32)


def resample(band: Floats, x: float, y: float, width: float, size: int) -> Floats:
    """Resample the box of `width` px around (x, y) to (size, size), by Lanczos with antialiasing.

    This is done before the stretch: light is then averaged as by a coarser camera, while averages of stretched pixels
    would make knots and nuclei fainter the more a survey's pixels are shrunk. SDSS and DES sample their seeing with
    three pixels or more, so Lanczos does not ring. The box may begin inside a pixel, which centres the object.
    """
    left, top = x + 0.5 - width / 2, y + 0.5 - width / 2  # Pillow counts from the pixel's corner
    picture = Image.fromarray(np.ascontiguousarray(band, np.float32))
    box = (max(left, 0.0), max(top, 0.0), min(left + width, band.shape[1]), min(top + width, band.shape[0]))
    return np.asarray(picture.resize((size, size), Image.Resampling.LANCZOS, box=box))


def mask_dead_lines(pixels: npt.NDArray[np.generic]) -> Bools:
    """Mark dead lines: runs of 8 or more exact zeros along a row or a column, even one pixel wide.

    Parameters
    ----------
    pixels : (height, width) of one band, floating-point: in whole numbers zeros are common
    """
    zero = pixels == 0
    if zero.sum() < _DEAD_RUN:
        return np.zeros(zero.shape, bool)
    across, along = np.ones((1, _DEAD_RUN), bool), np.ones((_DEAD_RUN, 1), bool)
    return np.asarray(ndimage.binary_opening(zero, across) | ndimage.binary_opening(zero, along))


def lupton_colours(bands: Floats, names: str) -> npt.NDArray[np.uint8]:
    """Compute the colours of Lupton et al. (2004, PASP 116, 133): asinh of the mean band, with the bands' ratios kept.

    Below the sky the stretch continues as an odd function, so that noise keeps its mean in shallow and deep surveys.

    Parameters
    ----------
    bands : (3, height, width), sky-subtracted nanomaggies per square arcsec, blue to red
    names : the bands' letters, from `BANDS`

    Returns
    -------
    (height, width, 3) uint8, red first
    """
    gains = np.array([GAINS[name] for name in names], np.float32)
    scaled = bands * gains[:, None, None] / STRETCH
    brightness = np.maximum(np.abs(scaled.mean(axis=0)), 1e-6)
    stretched = _SLOPE / math.asinh(_SLOPE * SOFTENING) * np.arcsinh(SOFTENING * brightness)
    colours = scaled[::-1] * (stretched / brightness)
    colours /= np.maximum(colours.max(axis=0), 1.0)  # a pixel that is too bright keeps its hue
    levels = PEDESTAL + (255 - PEDESTAL) * colours
    return np.moveaxis(np.clip(levels + 0.5, 0, 255).astype(np.uint8), 0, -1)


def _distance(shape: tuple[int, ...], x: float, y: float) -> Floats:
    """Distance of each pixel from the object, px, along the axis on which it is farther."""
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    return np.maximum(np.abs(rows - y), np.abs(columns - x)).astype(np.float32)


def _zero_blocks(bands: Floats) -> Bools:
    """Mark blocks of 3 x 3 or more exact zeros in any band, which were never exposed; integer data has single zeros."""
    zero = bands == 0
    across = zero[:, :, :-2] & zero[:, :, 1:-1] & zero[:, :, 2:]
    if not (across[:, :-2] & across[:, 1:-1] & across[:, 2:]).any():
        return np.zeros(bands.shape[1:], bool)
    return np.any([ndimage.binary_opening(band, np.ones((3, 3), bool)) for band in zero], axis=0)


def _missing(bad: Bools, outside: Bools, box: Bools, x: float, y: float, centre_px: float) -> dict[str, str]:
    """The flags for missing pixels, each with a sentence."""
    found = {}
    if bad.any():
        share = float(bad[box].mean())
        rows, columns = np.nonzero(bad)
        central = bool((np.hypot(rows - y, columns - x) <= centre_px).any())
        if central or share > MAX_MASKED_FRACTION:
            where = "the centre too" if central else "none at the centre"
            found["masked"] = f"{share:.1%} of its pixels are bad, {where}"
    if (outside & box).any():
        found["truncated"] = f"{float(outside[box].mean()):.1%} of its box lies beyond the tile"
    return found
