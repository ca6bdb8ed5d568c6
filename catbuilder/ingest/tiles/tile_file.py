"""Read the headers of one FITS tile: check that the file is complete, and find its image, bands, WCS and zero point.

The headers are first read block by block (`fits_header`), because astropy trusts them. So every header is read twice, a
few kilobytes.
"""

import math
import re
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.wcs import WCS
from astropy.wcs.utils import proj_plane_pixel_area, proj_plane_pixel_scales

from catbuilder.core.settings import Limits
from catbuilder.ingest.tables.fits_header import (
    MOST_HDUS,
    DamagedHeader,
    check_sizes,
    data_bytes,
    padded_size,
    read_header,
)

_MOST_FILLING = 2**20  # bytes
_SQUARE = 0.05  # by which a pixel's sides may differ: distortions reach 1 %
_FILTERS = "ugrizy"
_READ_LATER = ("MAGZERO", "SURVEY", "RADESYS")


class BadTile(Exception):
    """A tile or a file that cannot be used, with the reason; `find_tiles` turns it into a rejection."""


@dataclass(frozen=True)
class TileFile:
    """The headers of one file: where its image, mask and weight are, and its bands."""

    path: Path
    hdu: int
    header: fits.Header
    shape: tuple[int, ...]
    mask: int | None
    weight: int | None
    bands: str  # the letter of each layer of a cube, or of the one band


def read_tile_file(path: Path, band: str | None, limits: Limits | None = None) -> TileFile:
    """Find the image of a file: the HDU named SCI, else the first image that is not a mask or weight.

    Parameters
    ----------
    band : the letter in the file's name, if it has one
    limits : the largest image, and the largest block of a compressed image

    Raises
    ------
    BadTile
        The file is damaged, cut short or too large, holds no image, or its header contradicts the band in its name.
    """
    limits = limits or Limits()
    try:
        _refuse_damaged(path, limits.max_tile_side, limits.max_image_pixels)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # problems are refused below, in one sentence
            with fits.open(path, memmap=False) as file:
                number, names = _image(file)
                header, shape = file[number].header.copy(), tuple(file[number].shape)
                named = [*_filters(file[0].header), *_filters(header)]
            band = _named_band(header, shape, band, named)
            for card in _READ_LATER:
                header.get(card)  # astropy parses a card on access, and raises then
    except BadTile:
        raise
    # A damaged header makes astropy raise errors of many kinds: OSError, ValueError, OverflowError ...
    except Exception as error:
        raise BadTile(f"it cannot be read as FITS ({last_line(error)}); fetch it again") from None
    return TileFile(path, number, header, shape, names.get("MSK"), names.get("WGT"), band)


def _named_band(header: fits.Header, shape: tuple[int, ...], band: str | None, named: list[str]) -> str:
    """The bands of a cube by its header, else the letter in the file's name, with which the header must agree."""
    if len(shape) > 3:
        raise BadTile(f"its image has {len(shape)} axes; a tile has two, a cube of bands three")
    if len(shape) == 3:
        return _cube_bands(header, shape[0])
    if band is None:
        raise BadTile("it is not a cube, and its name has no band; rename it to end in _g.fits, _r.fits ...")
    for letter in named:
        if letter != band:
            raise BadTile(f"its name says band {band} and its header {letter}; rename it, or correct BAND and FILTER")
    return band


def read_wcs(file: TileFile) -> WCS:
    """Read the world coordinate system of a file, and check that its pixels are square.

    Raises
    ------
    BadTile
        They are missing or invalid, or the pixels are not square.
    """
    name = file.path.name
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # FITSFixedWarning: harmless spellings that wcslib corrects
        try:
            wcs = WCS(file.header, naxis=2)
            usable = wcs.has_celestial and np.isfinite(pixel_side(wcs)) and pixel_side(wcs) > 0
            if usable:
                place = wcs.pixel_to_world(0, 0)
                if not isinstance(place, SkyCoord):  # two angles without a frame
                    raise ValueError(f"RADESYS {file.header.get('RADESYS')} is unknown")
                usable = bool(np.isfinite(place.icrs.ra.deg))
        except Exception as error:  # wcslib raises a dozen classes of its own, astropy AttributeError and TypeError
            raise BadTile(f"the world coordinates of {name} are invalid ({last_line(error)})") from None
    if not usable:
        raise BadTile(f"{name} has no world coordinates (CTYPE1, CRVAL1, CD1_1 ...); objects cannot be found")
    sides = 3600 * proj_plane_pixel_scales(wcs)
    if max(sides) > (1 + _SQUARE) * min(sides):
        raise BadTile(f"{name} has pixels of {sides[0]:.3f} x {sides[1]:.3f} arcsec; resample it to square ones")
    return wcs


def pixel_side(wcs: WCS) -> float:
    """Compute the side of a square with a pixel's area, arcsec."""
    return float(np.sqrt(proj_plane_pixel_area(wcs))) * 3600


def read_zero_point(file: TileFile, usual: float | None) -> float:
    """Read the AB magnitude of one count: MAGZERO, or the survey's usual zero point.

    Raises
    ------
    BadTile
        There is none, or it is not between 10 and 40 mag.
    """
    value = file.header.get("MAGZERO", usual)
    if value is None:
        raise BadTile(f"{file.path.name} has no MAGZERO, nor has its survey a usual one; add the card MAGZERO (AB mag)")
    try:
        zero_point = np.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        zero_point = np.nan
    if not 10 <= zero_point <= 40:
        raise BadTile(f"{file.path.name} has MAGZERO = {str(value)[:40]}; give the AB magnitude of one count, 10 to 40")
    return zero_point


def last_line(error: Exception) -> str:
    """Return the last line of an error's message, where wcslib states the cause, or the error's class."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__


def _refuse_damaged(path: Path, longest_side: int, block_pixels: int) -> None:
    """Check that the file is as long as its headers declare, and its images within the limits."""
    length, end = path.stat().st_size, 0
    with open(path, "rb") as file:
        for _ in range(MOST_HDUS):
            if end >= length:
                return
            file.seek(end)
            if file.read(8).rstrip() != (b"XTENSION" if end else b"SIMPLE"):
                return _check_filler(end, length)
            file.seek(end)
            try:
                header = read_header(file)
                check_sizes(header)
            except DamagedHeader as error:
                raise BadTile(f"{error} at byte {end:,}; fetch it again") from None
            _refuse_large(header, longest_side, block_pixels)
            declared = file.tell() + data_bytes(header)
            if declared > length:
                raise BadTile(
                    f"it is cut short: {length:,} bytes where its header declares {declared:,}; fetch it again"
                )
            end = file.tell() + padded_size(data_bytes(header))
    if end < length:
        raise BadTile(f"it has more than {MOST_HDUS:,} headers; a tile has only a few; split the file")


def _check_filler(end: int, length: int) -> None:
    """Allow a short filler after the last data; astropy would read all of it in search of a header."""
    if end == 0:
        raise BadTile("it cannot be read as FITS (it does not begin with SIMPLE); fetch it again")
    if length - end > _MOST_FILLING:
        raise BadTile(f"{length - end:,} bytes after byte {end:,} belong to no header; fetch it again")


def _refuse_large(header: fits.Header, longest_side: int, block_pixels: int) -> None:
    """Refuse an image that is too large by its header: reading one row or block of it already takes memory."""
    compressed = bool(header.get("ZIMAGE"))
    if not compressed and header.get("XTENSION", "IMAGE").strip() != "IMAGE":
        return
    card = "ZNAXIS" if compressed else "NAXIS"
    sides = [header[f"{card}{k}"] for k in range(1, header.get(card, 0) + 1)]
    if max(sides, default=0) > longest_side:
        raise BadTile(
            f"its image is {' x '.join(f'{side:,}' for side in sides[:3])} pixels, and no side may have more than "
            f"{longest_side:,}; split it, or raise limits.max_tile_side in catbuilder.toml"
        )
    if compressed:
        blocks = [header.get(f"ZTILE{k}", side if k == 1 else 1) for k, side in enumerate(sides, start=1)]
        if not all(isinstance(side, int) and side > 0 for side in blocks):
            raise BadTile("its header is damaged (ZTILE is not a count); fetch it again")
        if math.prod(blocks) > block_pixels:
            raise BadTile(
                f"it is compressed in blocks of {math.prod(blocks):,} pixels, above the limit of {block_pixels:,}; "
                "compress it by rows (fpack does), or raise limits.max_image_pixels in catbuilder.toml"
            )


def _image(file: fits.HDUList) -> tuple[int, dict[str, int]]:
    """The number of the image's HDU, and the numbers of all HDUs by name."""
    names = {hdu.name: k for k, hdu in enumerate(file)}
    images = [k for k, hdu in enumerate(file) if hdu.is_image and hdu.header.get("NAXIS", 0) >= 2]
    images = [k for k in images if file[k].name not in ("MSK", "WGT")]
    if not images:
        raise BadTile("it holds no image")
    return (names["SCI"] if names.get("SCI") in images else images[0]), names


def _filters(header: fits.Header) -> list[str]:
    """Bands named by the cards BAND and FILTER; DECam writes 'g DECam SDSS c0001 4720.0 1520.0'."""
    words = [str(header.get(card, "")).split() for card in ("BAND", "FILTER")]
    return [word[0].lower() for word in words if word and len(word[0]) == 1 and word[0].lower() in _FILTERS]


def _cube_bands(header: fits.Header, layers: int) -> str:
    """The band of each layer, by the card BANDS = 'grz' or BAND0, BAND1 ..."""
    listed = re.sub("[, ]", "", str(header.get("BANDS", "")))
    letters = listed or "".join(str(header.get(f"BAND{k}", "?")).strip() for k in range(min(layers, 99)))
    if len(letters) != layers or "?" in letters:
        raise BadTile(
            f"it is a cube of {layers} layers whose header does not name each band; add the card BANDS = 'grz'"
        )
    return letters
