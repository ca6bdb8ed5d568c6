"""Measure the level and noise of the sky in many cut-outs at once, by clipping at 3 sigma.

The level is, to the last bit, that of `sigma_clipped_stats(..., stdfunc="mad_std")` of astropy, which takes longer than
everything else that a stamp costs. Here the pixels of a band are sorted once: the median of what is left after a
clipping is then the middle of a range, and the median deviation is found by bisection from there, in all bands of all
cut-outs together.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
_Places = npt.NDArray[np.int64]

_FEWEST = 16  # pixels
_CLIP_SIGMA, _CLIPPINGS = 3.0, 5
_HARDLY_ANY = 1e-3  # noise, of the level
_MAD_TO_SIGMA = 1.482602218505602  # of a normal distribution


def background(skies: Sequence[Floats]) -> tuple[Floats, Floats]:
    """Measure level and noise (standard deviation) of each band in pixels that are mostly sky.

    These are median and MAD (if it is next to nothing, the standard deviation) after clipping at 3 sigma, so that
    neighbours do not count.

    Parameters
    ----------
    skies : (bands, n) finite pixels of each cut-out; with fewer than 16 the level is 0 and the noise NaN

    Returns
    -------
    levels and noise, (cut-outs, bands)
    """
    bands = skies[0].shape[0] if skies else 0
    levels = np.zeros((len(skies), bands), np.float32)
    noise = np.full((len(skies), bands), np.nan, np.float32)
    enough = [k for k, sky in enumerate(skies) if sky.shape[1] >= _FEWEST]
    if enough:
        counts = np.repeat([skies[k].shape[1] for k in enough], bands)
        values = np.full((len(counts), counts.max()), np.inf, np.float32)
        for row, k in enumerate(enough):
            values[row * bands : (row + 1) * bands, : skies[k].shape[1]] = skies[k]
        values.sort(axis=1)
        first, last = _clipped(values.astype(np.float64), counts)
        level = _median(values, first, last)
        sigma = _deviation(values, first, last, level) * np.float32(_MAD_TO_SIGMA)
        for equal in np.flatnonzero(sigma <= _HARDLY_ANY * np.abs(level)):  # most pixels; others may differ
            sigma[equal] = values[equal, first[equal] : last[equal]].std()
        levels[enough], noise[enough] = level.reshape(-1, bands), sigma.reshape(-1, bands)
    return levels, noise


def _clipped(values: npt.NDArray[np.float64], counts: _Places) -> tuple[_Places, _Places]:
    """The range of each sorted row that is left after clipping, as its first place and the one after its last."""
    first, last = np.zeros(len(counts), np.int64), counts.copy()
    for _ in range(_CLIPPINGS):
        centre = _median(values, first, last)
        reach = _CLIP_SIGMA * (_deviation(values, first, last, centre) * _MAD_TO_SIGMA)
        low = np.array([row.searchsorted(v) for row, v in zip(values, centre - reach, strict=True)])
        high = np.array([row.searchsorted(v, "right") for row, v in zip(values, centre + reach, strict=True)])
        narrower = np.maximum(first, low), np.minimum(last, high)
        changed = (narrower[0] < narrower[1]) & ((narrower[0] != first) | (narrower[1] != last))
        if not changed.any():
            break
        first, last = np.where(changed, narrower[0], first), np.where(changed, narrower[1], last)
    return low, np.minimum(high, counts)  # as astropy: what the last limits leave of all pixels


def _median(values: npt.NDArray[Any], first: _Places, last: _Places) -> npt.NDArray[Any]:
    """The median of each row's range."""
    rows, n = np.arange(len(values)), last - first
    return (values[rows, first + (n - 1) // 2] + values[rows, first + n // 2]) / values.dtype.type(2)


def _deviation(values: npt.NDArray[Any], first: _Places, last: _Places, centre: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The median distance from its median in each row's range.

    The nearest values are `a` to the left of the middle and the rest to its right; `a` is found by bisection.
    """
    n, middle = last - first, first + (last - first) // 2
    on_left, on_right = middle - first, last - middle
    flat, start, width = values.ravel(), np.arange(len(values)) * values.shape[1], values.shape[1]

    def left(k: _Places) -> npt.NDArray[Any]:
        return np.asarray(centre - flat[start + np.clip(middle - 1 - k, 0, width - 1)])

    def right(k: _Places) -> npt.NDArray[Any]:
        return np.asarray(flat[start + np.clip(middle + k, 0, width - 1)] - centre)

    wanted = (n - 1) // 2 + 1
    low, high = np.maximum(wanted - on_right, 0), np.minimum(wanted, on_left)
    while (low < high).any():
        a = (low + high) // 2
        more = (low < high) & (left(a) < right(wanted - a - 1))
        low, high = np.where(more, a + 1, low), np.where(more | (low == high), high, a)
    b, inf = wanted - low, values.dtype.type(np.inf)
    last_taken = np.maximum(np.where(low > 0, left(low - 1), -inf), np.where(b > 0, right(b - 1), -inf))
    following = np.minimum(np.where(low < on_left, left(low), inf), np.where(b < on_right, right(b), inf))
    return np.asarray(np.where(n % 2 == 1, last_taken, (last_taken + following) / values.dtype.type(2)))
