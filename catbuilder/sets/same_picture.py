"""The content firewall: it tells whether two stamps are the same picture.

A test galaxy can hide among training images under another name, rescaled, re-encoded, rotated or mirrored, and
without a position only its pixels betray it. Correlating the images is not enough: smooth ellipticals and
edge-on discs all look alike. Two separate pieces of evidence are added up instead, at the one rotation and flip
where their sum is largest:

* **shape**: how closely the smoothed images agree. Copies agree to a part in 100 or 1,000, but among a few
  hundred ellipticals so do some pairs of strangers; alone it decides nothing.
* **detail**: the correlation of what is *not* symmetric under a half turn, after every ring is brought to a common
  contrast. A galaxy alone is nearly symmetric; companions, noise and blemishes are not, and they identify the
  picture as a fingerprint does. Whether a given correlation is a coincidence depends on how many independent
  features it rests on, so it is counted in standard deviations.

Both live in polar coordinates inside the inscribed circle, where a rotation is a phase and a flip a conjugate. The
moduli of the coefficients thus know neither, and the product of two moduli bounds the correlation from above:
the quick search over all pairs (`describe`) loses none that the full comparison would accept.

The same field of view is assumed: a copy cropped or zoomed differently is another picture to this module.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from scipy import fft, ndimage, sparse
from scipy.sparse.csgraph import connected_components

SIMILARITY_THRESHOLD = 21.5
"""Of 21 million pairs of different galaxies in nine sets of SDSS, DES and DECam stamps (96 px), none reaches it: the
most alike are two edge-on SDSS discs and two DES ones, both at 20.6; simulated twins reach 21.1. All of 400 SDSS
images of 299 px pass it after rotation by 33 degrees, shrinking threefold and JPEG of quality 50. JPEG can erase what a
small picture says about itself: at quality 75 and native size, 89 % of 62 px DES stamps pass and 65 % of 39 px ones,
smooth round galaxies failing."""


class Match(NamedTuple):
    """Row `i` of the first set and row `j` of the second hold the same picture."""

    i: int
    j: int
    similarity: float


def same_picture(stamps_a: np.ndarray, stamps_b: np.ndarray, threshold: float = SIMILARITY_THRESHOLD) -> list[Match]:
    """All pairs of one stamp of each set that show the same picture, by (i, j).

    Similarity is shape plus detail evidence: 0 for most strangers, rarely above 17; some 30 to 60 for exact copies.
    `stamps_a` is read in blocks and may be memory-mapped; the features of `stamps_b` (4 kB a stamp) are held in
    memory, so let it be the smaller set.

    Parameters
    ----------
    stamps_a, stamps_b : uint8, shapes (n, S, S, 3) and (m, S, S, 3)
    threshold : pairs at least this similar are reported
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


def duplicate_groups(stamps: np.ndarray, threshold: float = SIMILARITY_THRESHOLD) -> np.ndarray:
    """Number the groups of stamps that show the same picture, int, shape (n,); a stamp alone is its own group."""
    pairs = [(match.i, match.j) for match in same_picture(stamps, stamps, threshold) if match.i < match.j]
    i, j = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    graph = sparse.coo_array((np.ones(len(i)), (i, j)), shape=(len(stamps), len(stamps)))
    return np.asarray(connected_components(graph, directed=False)[1], dtype=np.int64)


def describe(stamps: np.ndarray) -> np.ndarray:
    """Rotation- and flip-invariant unit rows, float32, shape (n, d); a stamp without content gives a zero row.

    The first `SHAPE_LENGTH` columns are the moduli of the shape's coefficients, the rest those of the detail's; a dot
    product of two rows bounds from above the mean of the two correlations at any rotation and flip.
    """
    rows = [_moduli(_features(block)) for _, block in _blocks(stamps)]
    return np.concatenate([np.zeros((0, SHAPE_LENGTH + DETAIL_LENGTH), np.float32), *rows])


_RINGS, _ANGLES = 24, 128
_SHAPE_ORDERS = np.arange(0, 13)
_DETAIL_ORDERS = np.arange(3, 32, 2)
SHAPE_LENGTH = (_RINGS // 2) * len(_SHAPE_ORDERS)
DETAIL_LENGTH = _RINGS * len(_DETAIL_ORDERS)

_BLOCK = 512
_TILE = 8192
"""Stamps of each set compared at a time: 20 MB a matrix."""

_SHAPE_WEIGHT = 6.0
"""Evidence per decade of shape agreement; without the shape, recall of re-encoded DES stamps halves."""

_MIN_SHAPE_CORRELATION = 0.95
"""Below this nothing is compared: copies of 299 px SDSS images keep 0.98 at any damage tried."""

_DETAIL_FLOOR = 1.0
"""Levels: ripples below 8-bit rounding and JPEG noise are not brought up to full contrast."""

_ASYMMETRY = 0.35
"""An asymmetry counts once it is a third of the light beneath it. At 0 the slight tilt of edge-on discs made
strangers alike: two DES discs had a similarity of 27.7, and of 20.7 at 0.35."""

_DETAIL_CLIP = 2.5
"""In units of the ring's own scatter."""

_MIN_DETAIL_NORM = 0.5
"""Of 6,514 real stamps two at most are below, one of them black; noise-free renderings are."""


@dataclass(frozen=True)
class _Features:
    """Unit-norm polar Fourier coefficients of n stamps: complex64 (n, rings, orders), zero for blank stamps."""

    shape: np.ndarray
    detail: np.ndarray
    independent: np.ndarray  # (n,): the effective number of coefficients that carry the detail

    def piece(self, start: int, stop: int) -> _Features:
        """The features of stamps `start` to `stop`."""
        return _Features(self.shape[start:stop], self.detail[start:stop], self.independent[start:stop])


def _blocks(stamps: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Pieces that keep the floating-point copies of the pixels to some tens of MB."""
    for start in range(0, len(stamps), _BLOCK):
        yield start, np.asarray(stamps[start : start + _BLOCK])


def _features(stamps: np.ndarray) -> _Features:
    """Shape and detail coefficients of any number of stamps."""
    parts = [_block_features(block) for _, block in _blocks(stamps)]
    if not parts:
        shape = np.zeros((0, SHAPE_LENGTH // len(_SHAPE_ORDERS), len(_SHAPE_ORDERS)), np.complex64)
        detail = np.zeros((0, _RINGS, len(_DETAIL_ORDERS)), np.complex64)
        return _Features(shape, detail, np.zeros(0, np.float32))
    return _Features(
        np.concatenate([part.shape for part in parts]),
        np.concatenate([part.detail for part in parts]),
        np.concatenate([part.independent for part in parts]),
    )


def _block_features(stamps: np.ndarray) -> _Features:
    side = stamps.shape[1]
    # Grey: JPEG keeps colour at half the resolution, and with colour in the shape it lost more copies than strangers.
    grey = stamps.astype(np.float32) @ np.full(3, 1 / 3, np.float32)
    shape = _shape(_unroll(_blur(grey, side / 48), _RINGS // 2))
    detail = _detail(_unroll(_blur(grey, side / 64), _RINGS))
    blank = (stamps == stamps[:, :1, :1]).all(axis=(1, 2, 3))
    shape[blank], detail[blank] = 0, 0
    independent = _independent_features(detail)
    return _Features(shape, detail, independent)


def _blur(images: np.ndarray, sigma: float) -> np.ndarray:
    """Smooth (n, S, S) by a Gaussian of `sigma` pixels, down to what rescaled copies share."""
    return np.asarray(ndimage.gaussian_filter(images, (0, sigma, sigma)))


def _shape(polar: np.ndarray) -> np.ndarray:
    """Unit coefficients of the smoothed image, its mean level (background) taken out."""
    radius = np.linspace(_INNER, _OUTER, polar.shape[1], dtype=np.float32)[:, None]
    level = (polar * radius / radius.sum()).sum(axis=1).mean(axis=1)
    waves = fft.rfft(polar - level[:, None, None], axis=-1)[..., _SHAPE_ORDERS]
    waves[..., 0] /= np.sqrt(2)  # order 0 has no negative partner; see _curves
    return _unit(waves * np.sqrt(radius), 1e-3)


def _detail(polar: np.ndarray) -> np.ndarray:
    """Unit coefficients of what is not symmetric under a half turn, every ring at a common contrast."""
    turned = np.roll(polar, _ANGLES // 2, axis=-1)
    ripple = (polar - turned) / 2
    background = np.median(polar[:, -4:], axis=(1, 2))[:, None, None]
    galaxy = (polar + turned) / 2 - background
    spread = 1.4826 * np.median(np.abs(ripple), axis=-1, keepdims=True)
    spread = ndimage.uniform_filter1d(spread, 5, axis=1)
    expected = np.maximum(np.maximum(spread, _DETAIL_FLOOR), _ASYMMETRY * galaxy)
    # Bounded, or one bright star would be the whole picture and match any other star at its radius.
    waves = fft.rfft(_DETAIL_CLIP * np.tanh(ripple / expected / _DETAIL_CLIP), axis=-1)[..., _DETAIL_ORDERS]
    return _unit(waves / _ANGLES * np.sqrt(_DETAIL_ORDERS, dtype=np.float32), _MIN_DETAIL_NORM)


def _independent_features(detail: np.ndarray) -> np.ndarray:
    """How many independent numbers carry the detail, float32 (n,): participation ratios, the smaller of two.

    One bright companion is spread over many coefficients but sits in one place, a tilt over many places but in one
    coefficient; either is one coincidence. Both ratios are near DETAIL_LENGTH / 2 for noise.
    """
    waves = np.zeros((*detail.shape[:2], _ANGLES // 2 + 1), np.complex64)
    waves[..., _DETAIL_ORDERS] = detail
    in_place = _participation(fft.irfft(waves, axis=-1) ** 2)
    in_frequency = _participation(np.abs(detail) ** 2)
    noise_in_place = _RINGS * _ANGLES / 3  # a Gaussian's fourth moment is 3
    return np.minimum(in_frequency, in_place * (DETAIL_LENGTH / 2 / noise_in_place)).astype(np.float32)


def _participation(power: np.ndarray) -> np.ndarray:
    """The number of equal shares that would be as uneven as these."""
    total, squared = power.sum(axis=(1, 2), dtype=np.float64), (power**2).sum(axis=(1, 2), dtype=np.float64)
    return np.divide(total**2, squared, out=np.zeros_like(total), where=squared > 0)


def _unit(waves: np.ndarray, least_norm: float) -> np.ndarray:
    """Scale to norm 1; what is fainter than `least_norm` stays shorter, so that it cannot match by rounding."""
    norm = np.sqrt((np.abs(waves) ** 2).sum(axis=(1, 2), keepdims=True))
    return np.asarray(waves / np.maximum(norm, least_norm), dtype=np.complex64)


_INNER, _OUTER = 0.05, 0.95
"""Rings as a fraction of the inscribed circle's radius; a rotated copy has lost what lies outside."""


def _unroll(images: np.ndarray, rings: int) -> np.ndarray:
    """Resample (n, S, S) to polar (n, rings, angles)."""
    count, side, _ = images.shape
    polar = _polar_matrix(side, rings) @ images.reshape(count, side * side).T
    return np.ascontiguousarray(polar.T).reshape(count, rings, _ANGLES)


@lru_cache(maxsize=8)
def _polar_matrix(side: int, rings: int) -> sparse.csr_array:
    """Bilinear interpolation from a square grid to rings x angles, as one sparse matrix."""
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


def _moduli(features: _Features) -> np.ndarray:
    """The row of `describe` for each stamp."""
    count = len(features.shape)
    halves = np.abs(features.shape).reshape(count, -1), np.abs(features.detail).reshape(count, -1)
    row = np.concatenate(halves, axis=1)
    return np.asarray(row / np.maximum(np.linalg.norm(row, axis=1, keepdims=True), 1e-6), dtype=np.float32)


def _candidates(a: _Features, b: _Features, threshold: float) -> tuple[np.ndarray, np.ndarray]:
    """Pairs whose upper bound reaches the threshold, as indices into `a` and `b`."""
    bounds = []
    for first, second, size in ((a.shape, b.shape, SHAPE_LENGTH), (a.detail, b.detail, DETAIL_LENGTH)):
        bounds.append(np.abs(first).reshape(len(first), size) @ np.abs(second).reshape(len(second), size).T)
    # A hair above the bound: float32 sums may differ in the last digits from those of the comparison.
    shape, detail = (np.minimum(bound + 1e-5, 1.0) for bound in bounds)
    i, j = np.nonzero(shape >= _MIN_SHAPE_CORRELATION)
    bound = _evidence(shape[i, j], detail[i, j], np.minimum(a.independent[i], b.independent[j]))
    return i[bound >= threshold], j[bound >= threshold]


def _similarity(a: _Features, b: _Features, i: np.ndarray, j: np.ndarray) -> np.ndarray:
    """Evidence at the best rotation and flip for the pairs (i, j), float32."""
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
    """Correlation of aligned pairs against rotation angle, float32 (pairs, angles)."""
    spectrum = np.zeros((len(a), _ANGLES + 1), np.complex64)
    spectrum[:, orders] = np.einsum("prm,prm->pm", a, b if flipped else b.conj())
    spectrum[:, 0] *= 2
    return np.asarray(fft.irfft(spectrum, axis=1) * _ANGLES, dtype=np.float32)


def _evidence(shape: np.ndarray, detail: np.ndarray, independent: np.ndarray) -> np.ndarray:
    """Shape agreement in decades of what is left unexplained, plus detail correlation in standard deviations."""
    decades = -np.log10(np.clip(1 - shape, 1e-3, 2))
    # Fisher's transform of a correlation has a standard deviation near 1 / sqrt(independent features).
    deviations = np.arctanh(np.clip(detail, -0.999, 0.999)) * np.sqrt(independent)
    return np.where(shape >= _MIN_SHAPE_CORRELATION, _SHAPE_WEIGHT * decades + deviations, 0)
