"""Positions on the sky: HEALPix cells, and who stands near whom."""

import math

import numpy as np
import numpy.typing as npt
from astropy import units as u
from astropy.coordinates import SkyCoord, match_coordinates_sky
from astropy_healpix import HEALPix, neighbours

_ORDER = 29  # the finest cell that fits 64 bits, 0.4 mas: as HATS stores positions
SAME_PLACE_ARCSEC = 5.0  # what is stated to lie farther from the catalogue's position of its id has a wrong id
NEIGHBOURHOOD_ORDER = 8  # cells of 13.7 arcmin: larger than any galaxy or its halo of debris

_GRID = HEALPix(nside=2**_ORDER, order="nested")

_ORDER_0_ARCSEC = 3600 * math.degrees(math.sqrt(math.pi / 3))  # root of the area of one of the twelve base cells
_RADII_A_CELL = 3  # the most sheared cells, in the polar caps, are 0.67 of that root across: wide enough twice over


def healpix_cell(ra: npt.ArrayLike, dec: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Nested HEALPix cell of order 29 of each position (ICRS degrees); -1 where the position is NaN."""
    ra_deg, dec_deg = np.asarray(ra, np.float64), np.asarray(dec, np.float64)
    cells = np.full(ra_deg.shape, -1, np.int64)
    known = np.isfinite(ra_deg) & np.isfinite(dec_deg)
    if known.any():
        cells[known] = _GRID.lonlat_to_healpix(ra_deg[known] * u.deg, dec_deg[known] * u.deg)
    return cells


def neighbourhood(cells: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Cell of `NEIGHBOURHOOD_ORDER` that holds each order-29 cell."""
    return np.asarray(cells, np.int64) >> cell_shift(NEIGHBOURHOOD_ORDER)


def search_order(radius_arcsec: float) -> int:
    """Finest HEALPix order at which all within the radius of a position lies in its cell or a neighbour of it.

    Small cells give few candidates a cell; their number is bounded by the sky's density, not by the survey's size.
    """
    return min(_ORDER, math.floor(math.log2(_ORDER_0_ARCSEC / (_RADII_A_CELL * radius_arcsec))))


def cell_shift(order: int) -> int:
    """Bits by which an order-29 cell is shifted right to give the cell of this order that holds it."""
    return 2 * (_ORDER - order)


def with_neighbours(cells: npt.ArrayLike, order: int) -> npt.NDArray[np.int64]:
    """Each nested cell of this order (n,) and those that touch it: (n, 9), with a -1 where only seven do."""
    own = np.asarray(cells, np.int64)
    with np.errstate(invalid="ignore"):  # raised for each of the eight corners of the grid, where -1 is right
        around = neighbours(own, 2**order, order="nested")
    return np.ascontiguousarray(np.vstack([own[np.newaxis], around]).T)


def nearest(
    ra: npt.ArrayLike, dec: npt.ArrayLike, other_ra: npt.ArrayLike, other_dec: npt.ArrayLike
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """For each position the index of the nearest of the others, and its separation in arcsec.

    All in ICRS degrees. With nobody to be near to, the index is -1 and the separation infinite.
    """
    here = np.atleast_1d(np.asarray(ra, np.float64))
    there = np.atleast_1d(np.asarray(other_ra, np.float64))
    if len(here) == 0 or len(there) == 0:
        return np.full(len(here), -1, np.int64), np.full(len(here), np.inf)
    index, separation, _ = match_coordinates_sky(
        SkyCoord(here, np.atleast_1d(dec), unit="deg"), SkyCoord(there, np.atleast_1d(other_dec), unit="deg")
    )
    return np.asarray(index, np.int64), np.asarray(separation.arcsec, np.float64)
