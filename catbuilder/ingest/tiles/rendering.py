"""From calibrated pixels to a colour stamp that looks the same whichever survey took it: arrays in, arrays out.

Pixels come as surface brightness (nanomaggies a square arcsec, AB), so neither zero points nor pixel scales are
left in them, and one stretch serves every object of every survey: what differs between two stamps of a galaxy is
seeing and noise alone. The price is that a very bright or faint galaxy is shown bright or faint; stretching each by
its own brightness would hide that, and would make its colours and sky depend on its neighbours.
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
"""Bands that have a place in the colours, from blue to red."""

# What makes a galaxy of g - r = 0.6, r - i = 0.25, i - z = 0.25 white; z takes the place of i where there is no i.
GAINS = {"g": 1.7, "r": 1.0, "i": 0.8, "z": 0.63}
# Chosen on pairs of simulated galaxies: arms at 1 nanomaggy a square arcsec (22.5 mag) are well above SDSS's noise
# of 0.1, and the nucleus of a bright elliptical, at 300, is not yet white.
STRETCH = 4.0  # nanomaggies a square arcsec
SOFTENING = 8.0  # Q of Lupton et al. (2004)
PEDESTAL = 16  # level of an empty sky: its noise is shown on both sides, not clipped at black

MAX_MASKED_FRACTION = 0.03
"""Share of bad pixels in the box above which a stamp is flagged: a trail or a small star's core passes."""
CENTRAL_FRACTION = 0.125
"""No bad pixel at all is let pass within this part of the box's width from the centre."""

MISSING_PIXEL_FLAGS = frozenset(("masked", "truncated"))
"""Flags of a stamp that another tile may show whole."""

MARGIN = 0.1  # of the box's width, on each side: there the sky is measured, and Lanczos finds its neighbours
_SKY_FROM = 0.45  # of the width from the centre: from here outwards is sky
_DEAD_RUN = 8  # zeros
_SLOPE = 0.1  # the stretch rises like this times x / STRETCH (astropy's make_lupton_rgb means the same)


@dataclass(frozen=True)
class RenderedStamp:
    """A stamp and what is wrong with it."""

    pixels: npt.NDArray[np.uint8]  # (size, size, 3), north up if the tile's is
    flags: tuple[str, ...]  # keys of QUALITY_FLAGS
    reason: str | None  # a sentence where pixels are missing


def render(
    bands: Floats, bad: Bools, outside: Bools, names: str, x: float, y: float, width: float, size: int
) -> RenderedStamp:
    """Colour stamp of one object.

    Parameters
    ----------
    bands : (3, height, width), nanomaggies a square arcsec, blue to red. It reaches `MARGIN` of the box's width beyond
        the box on each side
    bad : (height, width), pixels that a mask or a weight calls bad; NaN and blocks of zeros are found here
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
    if (noise <= 1e-5 * np.abs(levels)).any():  # not even that of rounding: one constant, and never exposed
        bad = ~outside
    clean = np.where(bad | outside, np.float32(0), bands - levels[:, None, None])
    colours = lupton_colours(np.stack([resample(band, x, y, width, size) for band in clean]), names)
    pixels = np.ascontiguousarray(colours[::-1])  # FITS counts rows upwards, pictures downwards
    missing = _missing(bad, outside, distance <= width / 2, x, y, CENTRAL_FRACTION * width)
    return RenderedStamp(pixels, quality_flags(pixels) + tuple(missing), "; ".join(missing.values()) or None)


def background(sky: Floats) -> tuple[Floats, Floats]:
    """Level and noise (standard deviation) of each band where it is mostly sky.

    Median and MAD after clipping at 3 sigma, so that what neighbours there are do not count.

    Parameters
    ----------
    sky : (bands, n) pixels; with fewer than 16 the level is 0 and the noise NaN
    """
    if sky.shape[1] < 16:
        return np.zeros(len(sky), np.float32), np.full(len(sky), np.nan, np.float32)
    _, level, noise = sigma_clipped_stats(sky, sigma=3.0, maxiters=5, stdfunc="mad_std", axis=1)
    return np.asarray(level, np.float32), np.asarray(noise, np.float32)


def resample(band: Floats, x: float, y: float, width: float, size: int) -> Floats:
    """The box of `width` px around (x, y) as (size, size), by Lanczos with antialiasing.

    Before the stretch and not after it: light is then averaged as a coarser camera would, while averages of stretched
    pixels make knots and nuclei fainter the more a survey's pixels are shrunk. Both surveys sample their seeing with
    three pixels and more, so Lanczos does not ring. The box may begin inside a pixel: that centres the object.
    """
    left, top = x + 0.5 - width / 2, y + 0.5 - width / 2  # Pillow counts from the pixel's corner
    picture = Image.fromarray(np.ascontiguousarray(band, np.float32))
    box = (max(left, 0.0), max(top, 0.0), min(left + width, band.shape[1]), min(top + width, band.shape[0]))
    return np.asarray(picture.resize((size, size), Image.Resampling.LANCZOS, box=box))


def mask_dead_lines(pixels: npt.NDArray[np.generic]) -> Bools:
    """Exact zeros in a row or a column of 8 and more: a dead line, which may be one pixel wide.

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
    """Colours of Lupton et al. (2004, PASP 116, 133): the mean of the bands is stretched by asinh, their ratios stay.

    Below the sky the stretch goes on as an odd function, so that noise keeps its mean in faint and deep surveys alike.

    Parameters
    ----------
    bands : (3, height, width), sky-subtracted nanomaggies a square arcsec, blue to red
    names : their letters, of `BANDS`

    Returns
    -------
    (height, width, 3) uint8, red first
    """
    gains = np.array([GAINS[name] for name in names], np.float32)
    scaled = bands * gains[:, None, None] / STRETCH
    brightness = np.maximum(np.abs(scaled.mean(axis=0)), 1e-6)
    stretched = _SLOPE / math.asinh(_SLOPE * SOFTENING) * np.arcsinh(SOFTENING * brightness)
    colours = scaled[::-1] * (stretched / brightness)
    colours /= np.maximum(colours.max(axis=0), 1.0)  # too bright a pixel keeps its hue
    levels = PEDESTAL + (255 - PEDESTAL) * colours
    return np.moveaxis(np.clip(levels + 0.5, 0, 255).astype(np.uint8), 0, -1)


def _distance(shape: tuple[int, ...], x: float, y: float) -> Floats:
    """Of each pixel from the object, px, along the axis on which it is farther: squares are boxes."""
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    return np.maximum(np.abs(rows - y), np.abs(columns - x)).astype(np.float32)


def _zero_blocks(bands: Floats) -> Bools:
    """Exact zeros in blocks of 3 x 3 and more, in any band: never exposed. Single ones happen in integer data."""
    zero = bands == 0
    across = zero[:, :, :-2] & zero[:, :, 1:-1] & zero[:, :, 2:]
    if not (across[:, :-2] & across[:, 1:-1] & across[:, 2:]).any():
        return np.zeros(bands.shape[1:], bool)
    return np.any([ndimage.binary_opening(band, np.ones((3, 3), bool)) for band in zero], axis=0)


def _missing(bad: Bools, outside: Bools, box: Bools, x: float, y: float, centre_px: float) -> dict[str, str]:
    """The flags for pixels that are not there, each with a sentence."""
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
