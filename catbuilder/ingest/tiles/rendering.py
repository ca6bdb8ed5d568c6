"""Render calibrated pixels into colour stamps that look alike for every survey (Lupton et al. 2004).

Input is surface brightness (nanomaggies per square arcsec, AB), so zero points and pixel scales are removed, and one
stretch serves every object of every survey. Two stamps of one galaxy then differ only in seeing and noise. A very
bright or faint galaxy is shown bright or faint: stretching each by its own brightness would hide that, and would make
its colours and sky depend on its neighbours.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from catbuilder.ingest.picture import quality_flags_of
from catbuilder.ingest.tiles.sky_level import background

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
_TOGETHER = 32  # stamps whose arrays are computed at once: they stay in the CPU's cache
_SLOPE = 0.1  # slope of the stretch at 0, in units of x / STRETCH (as in astropy's make_lupton_rgb)


@dataclass(frozen=True)
class RenderedStamp:
    """A stamp with its quality flags."""

    pixels: npt.NDArray[np.uint8]  # (size, size, 3), north up if the tile's is
    flags: tuple[str, ...]  # keys of QUALITY_FLAGS
    reason: str | None  # a sentence if pixels are missing


@dataclass(frozen=True)
class CutOut:
    """The pixels of a tile around an object; they extend `MARGIN` of the box's width beyond the box on each side."""

    bands: Floats  # (3, height, width), nanomaggies per square arcsec, blue to red
    bad: Bools  # (height, width), pixels that a mask or a weight calls bad; `render` adds NaN and blocks of zeros
    outside: Bools | None  # (height, width), pixels beyond the tile; None if there are none
    x: float  # the object's centre in these arrays, px; the centre of the first pixel is 0
    y: float
    width: float  # of the box, px
    centres: tuple[tuple[float, float], ...] | None = (
        None  # x, y in each band, if bands are shifted by parts of a pixel
    )


def render(cut_outs: Sequence[CutOut], names: str, size: int) -> list[RenderedStamp]:
    """Render the colour stamps of objects.

    Parameters
    ----------
    names : the bands' letters
    size : of the stamps, px
    """
    stamps: dict[int, RenderedStamp] = {}
    order = sorted(range(len(cut_outs)), key=lambda k: cut_outs[k].bands.shape[1])  # alike in size: see `background`
    for first in range(0, len(order), _TOGETHER):
        together = order[first : first + _TOGETHER]
        stamps.update(zip(together, _render_few([cut_outs[k] for k in together], names, size), strict=True))
    return [stamps[k] for k in range(len(cut_outs))]


def _render_few(cut_outs: list[CutOut], names: str, size: int) -> Iterator[RenderedStamp]:
    bad = [_bad_pixels(one) for one in cut_outs]
    levels, noise = background([_sky_pixels(one, wrong) for one, wrong in zip(cut_outs, bad, strict=True)])
    light = np.empty((len(cut_outs), 3, size, size), np.float32)
    for k, one in enumerate(cut_outs):
        if (noise[k] <= 1e-5 * np.abs(levels[k])).any():  # below the rounding error: a constant, so never exposed
            bad[k] = np.ones(one.bad.shape, bool) if one.outside is None else ~one.outside
        clean = one.bands - levels[k][:, None, None]
        for unusable in (bad[k], one.outside):
            if unusable is not None:
                clean[:, unusable] = 0
        for band, (x, y) in enumerate(one.centres or ()):
            resample(clean[band : band + 1], x, y, one.width, light[k, band : band + 1])
        if one.centres is None:
            resample(clean, one.x, one.y, one.width, light[k])
    # FITS counts rows upwards, images downwards
    stamps = np.ascontiguousarray(lupton_colours(light, names)[:, ::-1])
    for one, wrong, pixels, flags in zip(cut_outs, bad, stamps, quality_flags_of(stamps), strict=True):
        missing = _missing(one, wrong)
        yield RenderedStamp(pixels, flags + tuple(missing), "; ".join(missing.values()) or None)


def resample(bands: Floats, x: float, y: float, width: float, into: Floats) -> None:
    """Resample the box of `width` px around (x, y) by Lanczos with antialiasing.

    This is done before the stretch: light is then averaged as by a coarser camera, while averages of stretched pixels
    would make knots and nuclei fainter the more a survey's pixels are shrunk. SDSS and DES sample their seeing with
    three pixels or more, so Lanczos does not ring. The box may begin inside a pixel, which centres the object.

    Parameters
    ----------
    bands : (bands, height, width)
    into : (bands, size, size), which is filled
    """
    left, top = x + 0.5 - width / 2, y + 0.5 - width / 2  # Pillow counts from the pixel's corner
    box = (max(left, 0.0), max(top, 0.0), min(left + width, bands.shape[2]), min(top + width, bands.shape[1]))
    for band, stamp in zip(bands, into, strict=True):
        picture = Image.frombuffer("F", bands.shape[:0:-1], np.ascontiguousarray(band, np.float32), "raw", "F", 0, 1)
        stamp[:] = picture.resize(stamp.shape, Image.Resampling.LANCZOS, box=box)


def mask_dead_lines(pixels: npt.NDArray[np.generic]) -> Bools:
    """Mark dead lines: runs of 8 or more exact zeros along a row or a column, even one pixel wide.

    Parameters
    ----------
    pixels : (height, width) of one band, floating-point: in whole numbers zeros are common
    """
    zero = pixels == 0
    if np.count_nonzero(zero) < _DEAD_RUN:
        return np.zeros(zero.shape, bool)
    return _runs(zero) | _runs(zero.T).T


def _runs(zero: Bools) -> Bools:
    """Mark runs of `_DEAD_RUN` or more along rows: to import scipy for this takes as long as hundreds of stamps."""
    found = np.zeros(zero.shape, bool)
    if zero.shape[1] < _DEAD_RUN:
        return found
    whole = np.logical_and.reduce([zero[:, k : zero.shape[1] - _DEAD_RUN + 1 + k] for k in range(_DEAD_RUN)])
    if whole.any():
        for k in range(_DEAD_RUN):
            found[:, k : k + whole.shape[1]] |= whole
    return found


def lupton_colours(bands: Floats, names: str) -> npt.NDArray[np.uint8]:
    """Compute the colours of Lupton et al. (2004, PASP 116, 133): asinh of the mean band, with the bands' ratios kept.

    Below the sky the stretch continues as an odd function, so that noise keeps its mean in shallow and deep surveys.

    Parameters
    ----------
    bands : (..., 3, height, width), sky-subtracted nanomaggies per square arcsec, blue to red
    names : the bands' letters, from `BANDS`

    Returns
    -------
    (..., height, width, 3) uint8, red first
    """
    gains = np.array([GAINS[name] for name in names], np.float32)
    scaled = bands * gains[:, None, None] / STRETCH
    brightness = np.maximum(np.abs(scaled.mean(axis=-3, keepdims=True)), 1e-6)
    stretched = _SLOPE / math.asinh(_SLOPE * SOFTENING) * np.arcsinh(SOFTENING * brightness)
    colours = scaled[..., ::-1, :, :] * (stretched / brightness)
    colours /= np.maximum(colours.max(axis=-3, keepdims=True), 1.0)  # a pixel that is too bright keeps its hue
    levels = PEDESTAL + (255 - PEDESTAL) * colours
    return np.moveaxis(np.clip(levels + 0.5, 0, 255).astype(np.uint8), -3, -1)


def _bad_pixels(one: CutOut) -> Bools | None:
    """Pixels of the tile without usable light, or None."""
    bad = one.bad | _zero_blocks(one.bands)
    if not np.isfinite(one.bands).all():
        bad |= ~np.isfinite(one.bands).all(axis=0)
    if one.outside is not None:
        bad &= ~one.outside
    return bad if bad.any() else None


def _sky_pixels(one: CutOut, bad: Bools | None) -> Floats:
    """The good pixels outside the box that holds the object, (bands, n)."""
    far_rows, far_columns = (distance > _SKY_FROM * one.width for distance in _distances(one))
    sky = far_rows[:, None] | far_columns[None, :]
    if bad is not None:
        sky &= ~bad
    if one.outside is not None:
        sky &= ~one.outside
    return one.bands.reshape(len(one.bands), -1)[:, np.flatnonzero(sky)]


def _distances(one: CutOut) -> tuple[Floats, Floats]:
    """Distance of each row and each column from the object, px."""
    rows, columns = (np.arange(n) for n in one.bands.shape[1:])
    return np.abs(rows - one.y).astype(np.float32), np.abs(columns - one.x).astype(np.float32)


def _zero_blocks(bands: Floats) -> Bools:
    """Mark blocks of 3 x 3 or more exact zeros in any band, which were never exposed; integer data has single zeros."""
    zero = bands == 0
    if np.count_nonzero(zero) < 9:
        return np.zeros(bands.shape[1:], bool)
    across = zero[:, :, :-2] & zero[:, :, 1:-1] & zero[:, :, 2:]
    blocks = across[:, :-2] & across[:, 1:-1] & across[:, 2:]
    found = np.zeros(zero.shape, bool)
    if blocks.any():
        for down, along in np.ndindex(3, 3):
            found[:, down : down + blocks.shape[1], along : along + blocks.shape[2]] |= blocks
    return np.asarray(found.any(axis=0))


def _missing(one: CutOut, bad: Bools | None) -> dict[str, str]:
    """The flags for missing pixels, each with a sentence."""
    found = {}
    near_rows, near_columns = (distance <= one.width / 2 for distance in _distances(one))
    box = near_rows[:, None] & near_columns[None, :]
    if bad is not None and bad.any():
        share = float(bad[box].mean())
        rows, columns = np.nonzero(bad)
        central = bool((np.hypot(rows - one.y, columns - one.x) <= CENTRAL_FRACTION * one.width).any())
        if central or share > MAX_MASKED_FRACTION:
            where = "the centre too" if central else "none at the centre"
            found["masked"] = f"{share:.1%} of its pixels are bad, {where}"
    if one.outside is not None and (one.outside & box).any():
        found["truncated"] = f"{float(one.outside[box].mean()):.1%} of its box lies beyond the tile"
    return found
