"""Compute HEALPix cells and find the nearest neighbours of positions on the sky."""

import math

import numpy as np
import numpy.typing as npt
from astropy import units as u
from astropy.coordinates import SkyCoord, match_coordinates_sky
from astropy_healpix import HEALPix, neighbours

_ORDER = 29  # the finest cells that fit 64 bits, 0.4 mas; HATS stores positions like this
SAME_POSITION_ARCSEC = 5.0  # a position farther than this from the catalogued one of its id means a wrong id
NEIGHBOURHOOD_ORDER = 8  # cells of 13.7 arcmin: larger than any galaxy or its halo of debris

_GRID = HEALPix(nside=2**_ORDER, order="nested")

_ORDER_0_ARCSEC = 3600 * math.degrees(math.sqrt(math.pi / 3))  # square root of the area of one of the 12 base cells
_RADII_A_CELL = 3  # cells of the polar caps are as narrow as 0.67 of that root: twice the needed width


def healpix_cell(ra: npt.ArrayLike, dec: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Compute the nested HEALPix cell of order 29 of each position (ICRS degrees); -1 for NaN positions."""
    ra_deg, dec_deg = np.asarray(ra, np.float64), np.asarray(dec, np.float64)
    cells = np.full(ra_deg.shape, -1, np.int64)
    known = np.isfinite(ra_deg) & np.isfinite(dec_deg)
    if known.any():
        cells[known] = _GRID.lonlat_to_healpix(ra_deg[known] * u.deg, dec_deg[known] * u.deg)
    return cells


def neighbourhood(cells: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Compute the cell of `NEIGHBOURHOOD_ORDER` that contains each order-29 cell."""
    return np.asarray(cells, np.int64) >> cell_shift(NEIGHBOURHOOD_ORDER)


def search_order(radius_arcsec: float) -> int:
    """Find the finest HEALPix order whose cell and its neighbours contain the whole radius around any position in it.

    Small cells hold few candidates: their number depends on the density on the sky, not on the size of the survey.
    """
    return min(_ORDER, math.floor(math.log2(_ORDER_0_ARCSEC / (_RADII_A_CELL * radius_arcsec))))


def cell_shift(order: int) -> int:
    """Compute the right shift, in bits, that turns an order-29 cell into its parent cell of this order."""
    return 2 * (_ORDER - order)


def with_neighbours(cells: npt.ArrayLike, order: int) -> npt.NDArray[np.int64]:
    """Find the neighbours of nested cells: (n,) cells give (n, 9), each cell first; -1 if it has only 7 neighbours."""
    own = np.asarray(cells, np.int64)
    with np.errstate(invalid="ignore"):  # the warning concerns the eight cells with 7 neighbours
        around = neighbours(own, 2**order, order="nested")
    return np.ascontiguousarray(np.vstack([own[np.newaxis], around]).T)


def nearest(
    ra: npt.ArrayLike, dec: npt.ArrayLike, other_ra: npt.ArrayLike, other_dec: npt.ArrayLike
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Find for each position the index of the nearest other position, and its separation in arcsec.

    Positions are in ICRS degrees. Without other positions, the index is -1 and the separation infinite.
    """
    here = np.atleast_1d(np.asarray(ra, np.float64))
    there = np.atleast_1d(np.asarray(other_ra, np.float64))
    if len(here) == 0 or len(there) == 0:
        return np.full(len(here), -1, np.int64), np.full(len(here), np.inf)
    index, separation, _ = match_coordinates_sky(
        SkyCoord(here, np.atleast_1d(dec), unit="deg"), SkyCoord(there, np.atleast_1d(other_dec), unit="deg")
    )
    return np.asarray(index, np.int64), np.asarray(separation.arcsec, np.float64)


def nearest_within(
    ra: npt.ArrayLike,
    dec: npt.ArrayLike,
    radius_arcsec: npt.ArrayLike,
    other_ra: npt.ArrayLike,
    other_dec: npt.ArrayLike,
    other_radius_arcsec: npt.ArrayLike,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Find for each position the nearest other position that is closer than the larger of their two radii.

    If the nearest of all is too far, a farther one with a large radius of its own may still be close enough. Only such
    large ones are searched around, so that millions of positions cost hardly more than `nearest`.

    Returns
    -------
    index of the other position, -1 if there is none, and the separation in arcsec, infinite if there is none
    """
    index, separation = nearest(ra, dec, other_ra, other_dec)
    here, there = np.asarray(radius_arcsec, np.float64), np.asarray(other_radius_arcsec, np.float64)
    if len(index) == 0 or len(there) == 0:
        return index, separation
    far = separation > np.maximum(here, there[index])
    left = np.flatnonzero(far & (separation <= there.max()))
    index[far], separation[far] = -1, np.inf
    large = np.flatnonzero(there > here.min())
    if len(left) == 0 or len(large) == 0:
        return index, separation
    mine = SkyCoord(np.asarray(ra)[left], np.asarray(dec)[left], unit="deg")
    theirs = SkyCoord(np.asarray(other_ra)[large], np.asarray(other_dec)[large], unit="deg")
    chords = 2 * np.sin(np.radians(there[large] / 3600) / 2) * (1 + 1e-9)
    from scipy.spatial import KDTree  # here: it takes a quarter of a second to import

    found = KDTree(mine.cartesian.xyz.value.T).query_ball_point(theirs.cartesian.xyz.value.T, chords)
    i = np.concatenate([np.asarray(some, np.int64) for some in found])
    j = np.repeat(np.arange(len(large)), [len(some) for some in found])
    apart = mine[i].separation(theirs[j]).arcsec
    order = np.lexsort((large[j], apart))[::-1]  # the last one written is the nearest
    order = order[apart[order] <= there[large[j[order]]]]
    index[left[i[order]]], separation[left[i[order]]] = large[j[order]], apart[order]
    return index, separation
