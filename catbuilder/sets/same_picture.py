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

Copies with another field of view are found if asked for: the centre of the wider picture is compared with the whole of
the narrower one, at widths in steps of 8 % up to a factor of two, and between steps where the evidence is promising.
Only pairs whose isophotes have the ratio of that step are compared, which spares nine of ten comparisons.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from typing import NamedTuple, Protocol

import numpy as np
from scipy import fft, ndimage, sparse

SIMILARITY_THRESHOLD = 21.5
"""No pair among 21 million pairs of different galaxies in nine sets of SDSS, DES and DECam stamps (96 px) reaches it.
The most similar are two edge-on SDSS discs and two DES ones, both at 20.6; simulated twins reach 21.1. All of 400 SDSS
images of 299 px pass it after rotation by 33 degrees, shrinking threefold and JPEG of quality 50. JPEG can erase the
detail of a small picture: at quality 75 and native size, 89 % of 62 px DES stamps pass and 65 % of 39 px ones; smooth
round galaxies fail."""


class Stamps(Protocol):
    """Stamps in an array, or of a `StampReader`, which reads a slice of them at a time."""

    def __len__(self) -> int: ...

    def __getitem__(self, rows: slice) -> np.ndarray: ...


class Match(NamedTuple):
    """Row `i` of the first set and row `j` of the second hold the same picture."""

    i: int
    j: int
    similarity: float


def same_picture(
    stamps_a: Stamps,
    stamps_b: Stamps,
    threshold: float = SIMILARITY_THRESHOLD,
    *,
    other_widths: bool = False,
) -> list[Match]:
    """Find all pairs of one stamp of each set that show the same picture, sorted by (i, j).

    Similarity is the sum of shape and detail evidence: 0 for most different galaxies, rarely above 17; about 30 to 60
    for exact copies. Stamps are read in blocks, from an array or from files. The features of `stamps_b` (4 kB a stamp)
    are kept in memory, so it should be the smaller set.

    Parameters
    ----------
    stamps_a, stamps_b : uint8, shapes (n, S, S, 3) and (m, S, S, 3)
    threshold : lowest similarity of a pair
    other_widths : find copies with half to twice the field of view too, which takes several times as long
    """
    find = _any_width if other_widths else _same_width
    return sorted(find(stamps_a, stamps_b, threshold))


def _same_width(stamps_a: Stamps, stamps_b: Stamps, threshold: float) -> list[Match]:
    (fixed,) = _features(stamps_b)
    matches: list[Match] = []
    for start, block in _blocks(stamps_a):
        (moving,) = _features(block)
        for offset in range(0, len(fixed.shape), _TILE):
            tile = fixed.piece(offset, offset + _TILE)
            i, j = _candidates(moving, tile, threshold)
            similarity = _similarity(moving, tile, i, j)
            kept = np.flatnonzero(similarity >= threshold)
            matches += [Match(start + int(i[k]), offset + int(j[k]), float(similarity[k])) for k in kept]
    return matches


_STEP = 1.08
"""Ratio of one field of view to the next. Within 4 % of the right one copies keep two thirds of their evidence."""

_STEPS = 9  # 1.08^9 = 2.0

_LESS_EVIDENCE = 1.5
"""Subtracted at other widths, since so many are tried. Among 780,000 pairs of different galaxies evidence of 19 was 3
times (DES) to 10 times (SDSS) as frequent as at the same width, and the highest, of two edge-on DES discs, was 21.8.
So no pair of 3.1 million from SDSS, DES and DECam (64 px) reaches the threshold; the highest is 20.3. Recall is
measured by `scripts/study/picture_crops.py`."""

_PROMISING = 15.0
"""Evidence at a step from which the widths between are tried: of 1,000 pairs of different galaxies one has it."""

_BETWEEN = np.array([-3, -2, -1, 0, 1, 2, 3]) / 6  # steps

_ISOPHOTES = np.array([24, 36, 54, 81, 122], np.float32)
"""Grey levels at which galaxies are measured; of a copy the pixels have the same levels, whatever its field of view."""

_ISOPHOTE_ERROR = 0.05
"""Error of the logarithm of the ratio of two radii, beyond half a step."""

_ISOPHOTE_SPREAD = 0.25
"""Largest difference of that logarithm between isophotes: the profiles of different galaxies are no copies."""


def _any_width(stamps_a: Stamps, stamps_b: Stamps, threshold: float) -> list[Match]:
    """Find pairs of the same width, and those in which one stamp shows the central part of the other."""
    best: dict[tuple[int, int], float] = {}
    for offset, tile in _blocks(stamps_b, _TILE // 4):
        fixed, fixed_radii = _centres(tile), _isophote_radii(tile)
        for start, block in _blocks(stamps_a):
            moving, ratio = _centres(block), _log_ratio(_isophote_radii(block), fixed_radii)
            for step in range(-_STEPS, _STEPS + 1):
                if step == 0:
                    i, j = _candidates(moving[0], fixed[0], threshold)
                    similarity = _similarity(moving[0], fixed[0], i, j)
                else:
                    i, j = _promising(moving[max(-step, 0)], fixed[max(step, 0)], ratio, step)
                    narrow, wide, places = (moving, tile, (i, j)) if step > 0 else (fixed, block, (j, i))
                    similarity = _between_steps(narrow[0], wide, *places, step) - _LESS_EVIDENCE
                for k in np.flatnonzero(similarity >= threshold):
                    place = start + int(i[k]), offset + int(j[k])
                    best[place] = max(best.get(place, 0.0), float(similarity[k]))
    return [Match(i, j, similarity) for (i, j), similarity in best.items()]


_REMEMBERED = 6144
"""Stamps whose features at every step are kept, 41 kB each: a firewall compares the same ones several times."""

_remembered: dict[bytes, list[_Features]] = {}


def _centres(stamps: np.ndarray) -> list[_Features]:
    """The features of the whole stamps, and of their centres at every step down to half the width."""
    keys = [blake2b(stamp.tobytes(), digest_size=16).digest() for stamp in stamps]
    fresh = {key: place for place, key in enumerate(keys) if key not in _remembered}
    places = list(fresh.values())
    computed = _features(stamps[places], [_STEP**-step for step in range(_STEPS + 1)]) if fresh else []
    found = {key: _remembered[key] for key in keys if key not in fresh}
    found |= {key: [one.piece(k, k + 1) for one in computed] for k, key in enumerate(fresh)}
    for key, of_stamp in found.items():
        _remembered.pop(key, None)
        _remembered[key] = of_stamp  # last in the order, since it was used last
    for key in list(_remembered)[:-_REMEMBERED]:
        del _remembered[key]
    return [_joined([found[key][step] for key in keys]) for step in range(_STEPS + 1)]


def _promising(a: _Features, b: _Features, ratio: np.ndarray, step: int) -> tuple[np.ndarray, np.ndarray]:
    """Find the pairs worth a closer look: their isophotes have the ratio of the step, and their evidence is high."""
    i, j = _candidates(a, b, _PROMISING)
    near = np.abs(ratio[i, j] - step * np.log(_STEP)) <= np.log(_STEP) / 2 + _ISOPHOTE_ERROR
    i, j = i[near], j[near]
    high = _similarity(a, b, i, j) >= _PROMISING
    return i[high], j[high]


def _between_steps(narrow: _Features, wide: np.ndarray, i: np.ndarray, j: np.ndarray, step: int) -> np.ndarray:
    """Compute the evidence for pairs at the best of the widths around a step, float32.

    Parameters
    ----------
    narrow : features of the whole stamps of the set whose pictures have the smaller field of view
    wide : stamps of the other set, of which only the centre is compared
    i, j : places of each pair in `narrow` and in `wide`
    """
    best = np.zeros(len(i), np.float32)
    there, place = np.unique(j, return_inverse=True)  # a stamp belongs to many pairs
    for centres in _features(wide[there], [_STEP ** -abs(step + between) for between in _BETWEEN]):
        best = np.maximum(best, _similarity(narrow, centres, i, place))
    return best


def _isophote_radii(stamps: np.ndarray) -> np.ndarray:
    """Measure the logarithm of the radius at which a galaxy falls below each level: (n, levels), NaN where it does not.

    The unit is half the stamp's width. Radii below three pixels or beyond the inscribed circle are not measured.
    """
    side = stamps.shape[1]
    rings = side // 2
    grey = _blur(stamps.astype(np.float32) @ np.full(3, 1 / 3, np.float32), 1.0)
    profile = _unroll(grey, rings, 1.0).mean(axis=-1)
    radius = np.linspace(_INNER, _OUTER, rings)
    below = profile[:, :, None] < _ISOPHOTES
    first = below.argmax(axis=1)  # 0 also if it never falls below
    n = np.arange(len(stamps))[:, None]
    inside, outside = profile[n, np.maximum(first - 1, 0)], profile[n, first]
    share = (inside - _ISOPHOTES) / np.where(inside > outside, inside - outside, 1)
    at = np.maximum(first - 1 + share, 0) * (radius[1] - radius[0]) + radius[0]
    return np.where((first > 0) & (at > 6 / side), np.log(at), np.nan).astype(np.float32)


def _log_ratio(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Compute the logarithm of the ratio of the sizes of each pair, (n, m): the mean over isophotes; NaN if unalike."""
    ratios = a[:, None, :] - b[None, :, :]
    known = np.isfinite(ratios)
    count = known.sum(axis=2)
    mean = np.where(known, ratios, 0).sum(axis=2) / np.maximum(count, 1)
    spread = np.where(known, np.abs(ratios - mean[:, :, None]), 0).max(axis=2)
    return np.where((count > 0) & (spread <= _ISOPHOTE_SPREAD / 2), mean, np.nan)


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


def _blocks(stamps: Stamps, size: int = _BLOCK) -> Iterator[tuple[int, np.ndarray]]:
    """Split stamps into blocks, so that floating-point copies of the pixels take some tens of MB."""
    for start in range(0, len(stamps), size):
        yield start, np.asarray(stamps[start : start + size])


def _features(stamps: Stamps, parts: Sequence[float] = (1.0,)) -> list[_Features]:
    """Compute the shape and detail coefficients of central parts (of their width) of any number of stamps."""
    blocks = [_block_features(block, parts) for _, block in _blocks(stamps)]
    return [_joined([block[place] for block in blocks]) for place in range(len(parts))]


def _joined(parts: list[_Features]) -> _Features:
    if not parts:
        shape = np.zeros((0, _SHAPE_LENGTH // len(_SHAPE_ORDERS), len(_SHAPE_ORDERS)), np.complex64)
        detail = np.zeros((0, _RINGS, len(_DETAIL_ORDERS)), np.complex64)
        return _Features(shape, detail, np.zeros(0, np.float32))
    return _Features(
        np.concatenate([part.shape for part in parts]),
        np.concatenate([part.detail for part in parts]),
        np.concatenate([part.independent for part in parts]),
    )


def _block_features(stamps: np.ndarray, parts: Sequence[float]) -> list[_Features]:
    # Grey, because JPEG halves the resolution of colour: with colour in the shape more copies were lost than
    # different galaxies told apart.
    grey = stamps.astype(np.float32) @ np.full(3, 1 / 3, np.float32)
    blank = (stamps == stamps[:, :1, :1]).all(axis=(1, 2, 3))
    return [_part_features(grey, blank, part) for part in parts]


def _part_features(grey: np.ndarray, blank: np.ndarray, part: float) -> _Features:
    side = grey.shape[1]
    shape = _shape(_polar(grey, part * side / 48, _RINGS // 2, part))
    detail = _detail(_polar(grey, part * side / 64, _RINGS, part))
    shape[blank], detail[blank] = 0, 0
    return _Features(shape, detail, _independent_features(detail))


def _polar(images: np.ndarray, sigma: float, rings: int, part: float) -> np.ndarray:
    """Smooth the central part of (n, S, S) and resample it to polar (n, rings, angles)."""
    side = images.shape[1]
    reach = _OUTER * part * side / 2 + int(4 * sigma + 0.5) + 1  # the Gaussian's own, and a pixel to interpolate
    margin = max(int((side - 1) / 2 - reach), 0)
    central = images[:, margin : side - margin, margin : side - margin]
    return _unroll(_blur(central, sigma), rings, part * side / central.shape[1])


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


def _unroll(images: np.ndarray, rings: int, part: float) -> np.ndarray:
    """Resample the central part of (n, S, S) to polar (n, rings, angles)."""
    count, side, _ = images.shape
    polar = _polar_matrix(side, rings, part) @ images.reshape(count, side * side).T
    return np.ascontiguousarray(polar.T).reshape(count, rings, _ANGLES)


@lru_cache(maxsize=64)
def _polar_matrix(side: int, rings: int, part: float) -> sparse.csr_array:
    """Build the sparse matrix that interpolates bilinearly from a square grid to rings x angles."""
    radius = np.linspace(_INNER, _OUTER, rings)[:, None] * part * side / 2
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
