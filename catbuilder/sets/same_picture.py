"""Find duplicate images: stamps that show the same picture, also if rescaled, re-encoded, rotated or mirrored.

A test galaxy may be among the training images under another name, and without a position only its pixels can reveal
it. Correlating the images is not enough, because smooth ellipticals and edge-on discs all look alike. Two kinds of
evidence are added instead, at the rotation and flip where their sum is largest:

* **shape**: how closely the smoothed images agree. Copies agree to a part in 100 or 1,000, but among a few hundred
  ellipticals so do some pairs of different galaxies. Shape alone is not enough.
* **detail**: the correlation of the part that is *not* symmetric under a half turn, after scaling every ring to a
  common contrast. A galaxy alone is nearly symmetric; companions, noise and blemishes are not, and identify the picture
  like a fingerprint. How unlikely a correlation is by chance depends on the number of independent features behind it,
  so it is measured in standard deviations.

Both are computed in polar coordinates inside the inscribed circle, where a rotation is a phase and a flip a complex
conjugate. The moduli of the coefficients do not depend on either, and the product of two moduli is an upper bound of
the correlation. So the quick search over all pairs (`_candidates`) loses none that the full comparison would accept.

The field of view must be the same: a copy that is cropped or zoomed differently is not found.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from scipy import fft, ndimage, sparse

SIMILARITY_THRESHOLD = 21.5
"""No pair among 21 million pairs of different galaxies in nine sets of SDSS, DES and DECam stamps (96 px) reaches it.
The most similar are two edge-on SDSS discs and two DES ones, both at 20.6; simulated twins reach 21.1. All of 400 SDSS
images of 299 px pass it after rotation by 33 degrees, shrinking threefold and JPEG of quality 50. JPEG can erase the
detail of a small picture: at quality 75 and native size, 89 % of 62 px DES stamps pass and 65 % of 39 px ones; smooth
round galaxies fail."""


class Match(NamedTuple):
    """Row `i` of the first set and row `j` of the second hold the same picture."""

    i: int
    j: int
    similarity: float


def same_picture(stamps_a: np.ndarray, stamps_b: np.ndarray, threshold: float = SIMILARITY_THRESHOLD) -> list[Match]:
    """Find all pairs of one stamp of each set that show the same picture, sorted by (i, j).

    Similarity is the sum of shape and detail evidence: 0 for most different galaxies, rarely above 17; about 30 to 60
    for exact copies. `stamps_a` is read in blocks and may be memory-mapped. The features of `stamps_b` (4 kB a stamp)
    are kept in memory, so it should be the smaller set.

    Parameters
    ----------
    stamps_a, stamps_b : uint8, shapes (n, S, S, 3) and (m, S, S, 3)
    threshold : lowest similarity of a pair
    """
    fixed = _features(stamps_b)
    matches: list[Match] = []
    for start, block in _blocks(stamps_a):
        moving = _features(block)
        for offset in range(0, len(fixed.shape), _TILE):
            tile = fixed.piece(offset, offset + _TILE)
            i, j = _candidates(moving, tile, threshold)
            similarity = _similarity(moving, tile, i, j)
            kept = np.flatnonzero(similarity >= threshold)
            matches += [Match(start + int(i[k]), offset + int(j[k]), float(similarity[k])) for k in kept]
    return sorted(matches)


_RINGS, _ANGLES = 24, 128
_SHAPE_ORDERS = np.arange(0, 13)
_DETAIL_ORDERS = np.arange(3, 32, 2)
_SHAPE_LENGTH = (_RINGS // 2) * len(_SHAPE_ORDERS)
_DETAIL_LENGTH = _RINGS * len(_DETAIL_ORDERS)

_BLOCK = 512
_TILE = 8192
"""Stamps of each set compared at a time: 20 MB a matrix."""

_SHAPE_WEIGHT = 6.0
"""Evidence per decade of shape agreement; without the shape, recall of re-encoded DES stamps halves."""

_MIN_SHAPE_CORRELATION = 0.95
"""Pairs below it are not compared further: copies of 299 px SDSS images kept 0.98 under every damage tried."""

_DETAIL_FLOOR = 1.0
"""In 8-bit levels: ripples below rounding and JPEG noise are not scaled up to full contrast."""

_ASYMMETRY = 0.35
"""An asymmetry counts once it is about a third of the symmetric light beneath it. With 0 the slight tilt of edge-on
discs made different galaxies alike: two DES discs had a similarity of 27.7, and of 20.7 with 0.35."""

_DETAIL_CLIP = 2.5
"""In units of the ring's own scatter."""

_MIN_DETAIL_NORM = 0.5
"""At most two of 6,514 real stamps are below, one of them black; noise-free renderings are below too."""


@dataclass(frozen=True)
class _Features:
    """Unit-norm polar Fourier coefficients of n stamps: complex64 (n, rings, orders), zero for blank stamps."""

    shape: np.ndarray
    detail: np.ndarray
    independent: np.ndarray  # (n,): the effective number of coefficients that carry the detail

    def piece(self, start: int, stop: int) -> _Features:
        """Return the features of stamps `start` to `stop`."""
        return _Features(self.shape[start:stop], self.detail[start:stop], self.independent[start:stop])


def _blocks(stamps: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Split stamps into blocks, so that floating-point copies of the pixels take some tens of MB."""
    for start in range(0, len(stamps), _BLOCK):
        yield start, np.asarray(stamps[start : start + _BLOCK])


def _features(stamps: np.ndarray) -> _Features:
    """Compute the shape and detail coefficients of any number of stamps."""
    parts = [_block_features(block) for _, block in _blocks(stamps)]
    if not parts:
        shape = np.zeros((0, _SHAPE_LENGTH // len(_SHAPE_ORDERS), len(_SHAPE_ORDERS)), np.complex64)
        detail = np.zeros((0, _RINGS, len(_DETAIL_ORDERS)), np.complex64)
        return _Features(shape, detail, np.zeros(0, np.float32))
    return _Features(
        np.concatenate([part.shape for part in parts]),
        np.concatenate([part.detail for part in parts]),
        np.concatenate([part.independent for part in parts]),
    )


def _block_features(stamps: np.ndarray) -> _Features:
    side = stamps.shape[1]
    # Grey, because JPEG halves the resolution of colour: with colour in the shape more copies were lost than
    # different galaxies told apart.
    grey = stamps.astype(np.float32) @ np.full(3, 1 / 3, np.float32)
    shape = _shape(_unroll(_blur(grey, side / 48), _RINGS // 2))
    detail = _detail(_unroll(_blur(grey, side / 64), _RINGS))
    blank = (stamps == stamps[:, :1, :1]).all(axis=(1, 2, 3))
    shape[blank], detail[blank] = 0, 0
    independent = _independent_features(detail)
    return _Features(shape, detail, independent)


def _blur(images: np.ndarray, sigma: float) -> np.ndarray:
    """Smooth (n, S, S) by a Gaussian of `sigma` pixels, so that rescaled copies agree."""
    return np.asarray(ndimage.gaussian_filter(images, (0, sigma, sigma)))


def _shape(polar: np.ndarray) -> np.ndarray:
    """Compute unit coefficients of the smoothed image, with its mean level (background) subtracted."""
    radius = np.linspace(_INNER, _OUTER, polar.shape[1], dtype=np.float32)[:, None]
    level = (polar * radius / radius.sum()).sum(axis=1).mean(axis=1)
    waves = fft.rfft(polar - level[:, None, None], axis=-1)[..., _SHAPE_ORDERS]
    waves[..., 0] /= np.sqrt(2)  # order 0 has no negative partner; see _curves
    return _unit(waves * np.sqrt(radius), 1e-3)


def _detail(polar: np.ndarray) -> np.ndarray:
    """Compute unit coefficients of the part not symmetric under a half turn, each ring scaled to a common contrast."""
    turned = np.roll(polar, _ANGLES // 2, axis=-1)
    ripple = (polar - turned) / 2
    background = np.median(polar[:, -4:], axis=(1, 2))[:, None, None]
    galaxy = (polar + turned) / 2 - background
    spread = 1.4826 * np.median(np.abs(ripple), axis=-1, keepdims=True)
    spread = ndimage.uniform_filter1d(spread, 5, axis=1)
    expected = np.maximum(np.maximum(spread, _DETAIL_FLOOR), _ASYMMETRY * galaxy)
    # Limited, because one bright star would otherwise dominate the picture and match any other star at its radius.
    waves = fft.rfft(_DETAIL_CLIP * np.tanh(ripple / expected / _DETAIL_CLIP), axis=-1)[..., _DETAIL_ORDERS]
    return _unit(waves / _ANGLES * np.sqrt(_DETAIL_ORDERS, dtype=np.float32), _MIN_DETAIL_NORM)


def _independent_features(detail: np.ndarray) -> np.ndarray:
    """Compute the effective number of independent features of the detail, float32 (n,).

    It is the smaller of two participation ratios, in position and in frequency. One bright companion has many
    coefficients but one position, and a tilt has many positions but one coefficient; either is a single coincidence.
    Both ratios are near _DETAIL_LENGTH / 2 for noise.
    """
    waves = np.zeros((*detail.shape[:2], _ANGLES // 2 + 1), np.complex64)
    waves[..., _DETAIL_ORDERS] = detail
    in_place = _participation(fft.irfft(waves, axis=-1) ** 2)
    in_frequency = _participation(np.abs(detail) ** 2)
    noise_in_place = _RINGS * _ANGLES / 3  # a Gaussian's fourth moment is 3
    return np.minimum(in_frequency, in_place * (_DETAIL_LENGTH / 2 / noise_in_place)).astype(np.float32)


def _participation(power: np.ndarray) -> np.ndarray:
    """Compute the participation ratio: the number of equal terms with the same sum and sum of squares."""
    total, squared = power.sum(axis=(1, 2), dtype=np.float64), (power**2).sum(axis=(1, 2), dtype=np.float64)
    return np.divide(total**2, squared, out=np.zeros_like(total), where=squared > 0)


def _unit(waves: np.ndarray, least_norm: float) -> np.ndarray:
    """Scale to norm 1; norms below `least_norm` stay below 1, so that faint noise cannot match by rounding."""
    norm = np.sqrt((np.abs(waves) ** 2).sum(axis=(1, 2), keepdims=True))
    return np.asarray(waves / np.maximum(norm, least_norm), dtype=np.complex64)


_INNER, _OUTER = 0.05, 0.95
"""Radii of the rings, as fractions of the inscribed circle's radius; a rotated copy has lost the pixels outside."""


def _unroll(images: np.ndarray, rings: int) -> np.ndarray:
    """Resample (n, S, S) to polar (n, rings, angles)."""
    count, side, _ = images.shape
    polar = _polar_matrix(side, rings) @ images.reshape(count, side * side).T
    return np.ascontiguousarray(polar.T).reshape(count, rings, _ANGLES)


@lru_cache(maxsize=8)
def _polar_matrix(side: int, rings: int) -> sparse.csr_array:
    """Build the sparse matrix that interpolates bilinearly from a square grid to rings x angles."""
    radius = np.linspace(_INNER, _OUTER, rings)[:, None] * side / 2
    angle = 2 * np.pi * np.arange(_ANGLES) / _ANGLES
    centre = (side - 1) / 2
    y, x = centre + radius * np.sin(angle), centre + radius * np.cos(angle)
    top, left = (np.clip(np.floor(axis), 0, side - 2).astype(int) for axis in (y, x))
    down, right = y - top, x - left
    corners = [(0, 0, (1 - down) * (1 - right)), (0, 1, (1 - down) * right)]
    corners += [(1, 0, down * (1 - right)), (1, 1, down * right)]
    columns = np.concatenate([((top + dy) * side + left + dx).ravel() for dy, dx, _ in corners])
    weights = np.concatenate([weight.ravel() for _, _, weight in corners]).astype(np.float32)
    rows = np.tile(np.arange(rings * _ANGLES), 4)
    return sparse.csr_array((weights, (rows, columns)), shape=(rings * _ANGLES, side * side))


def _candidates(a: _Features, b: _Features, threshold: float) -> tuple[np.ndarray, np.ndarray]:
    """Find pairs whose upper bound of similarity reaches the threshold, as indices into `a` and `b`."""
    bounds = []
    for first, second, size in ((a.shape, b.shape, _SHAPE_LENGTH), (a.detail, b.detail, _DETAIL_LENGTH)):
        bounds.append(np.abs(first).reshape(len(first), size) @ np.abs(second).reshape(len(second), size).T)
    # The bound is raised by 1e-5, because float32 sums may differ in the last digits from those of the comparison.
    shape, detail = (np.minimum(bound + 1e-5, 1.0) for bound in bounds)
    i, j = np.nonzero(shape >= _MIN_SHAPE_CORRELATION)
    bound = _evidence(shape[i, j], detail[i, j], np.minimum(a.independent[i], b.independent[j]))
    return i[bound >= threshold], j[bound >= threshold]


def _similarity(a: _Features, b: _Features, i: np.ndarray, j: np.ndarray) -> np.ndarray:
    """Compute the evidence at the best rotation and flip for the pairs (i, j), float32."""
    best = np.zeros(len(i), np.float32)
    for start in range(0, len(i), 2 * _BLOCK):
        piece = slice(start, start + 2 * _BLOCK)
        first, second = i[piece], j[piece]
        independent = np.minimum(a.independent[first], b.independent[second])[:, None]
        for flipped in (False, True):
            shape = _curves(a.shape[first], b.shape[second], _SHAPE_ORDERS, flipped)
            detail = _curves(a.detail[first], b.detail[second], _DETAIL_ORDERS, flipped)
            evidence = _evidence(shape, detail, independent).max(axis=1)
            best[piece] = np.maximum(best[piece], evidence)
    return best


def _curves(a: np.ndarray, b: np.ndarray, orders: np.ndarray, flipped: bool) -> np.ndarray:
    """Compute the correlation of aligned pairs against rotation angle, float32 (pairs, angles)."""
    spectrum = np.zeros((len(a), _ANGLES + 1), np.complex64)
    spectrum[:, orders] = np.einsum("prm,prm->pm", a, b if flipped else b.conj())
    spectrum[:, 0] *= 2
    return np.asarray(fft.irfft(spectrum, axis=1) * _ANGLES, dtype=np.float32)


def _evidence(shape: np.ndarray, detail: np.ndarray, independent: np.ndarray) -> np.ndarray:
    """Add shape evidence (decades of unexplained variance) and detail evidence (standard deviations)."""
    decades = -np.log10(np.clip(1 - shape, 1e-3, 2))
    # Fisher's transform of a correlation has a standard deviation near 1 / sqrt(independent features).
    deviations = np.arctanh(np.clip(detail, -0.999, 0.999)) * np.sqrt(independent)
    return np.where(shape >= _MIN_SHAPE_CORRELATION, _SHAPE_WEIGHT * decades + deviations, 0)
