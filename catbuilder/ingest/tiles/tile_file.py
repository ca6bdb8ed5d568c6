"""Read the headers of one FITS tile: check that the file is complete, and find its image, masks, bands and WCS.

The headers are first read block by block (`fits_header`), because astropy trusts them. So every header is read twice, a
few kilobytes. What a file holds and nobody uses is a remark, and the report of the ingest lists these.
"""

import math
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.wcs import WCS, FITSFixedWarning
from astropy.wcs.utils import proj_plane_pixel_area, proj_plane_pixel_scales

from catbuilder.core.arguments import PIXEL_SCALES_ARCSEC, is_pixel_scale
from catbuilder.core.safe_text import in_one_line, last_line
from catbuilder.core.settings import Limits
from catbuilder.ingest.tables.fits_header import (
    MOST_HDUS,
    DamagedHeader,
    check_sizes,
    data_bytes,
    padded_size,
    read_header,
)
from catbuilder.ingest.tiles.pixel_layers import LAYER_NAMES, PixelLayer, Unknown, read_layer
from catbuilder.ingest.tiles.tile_rows import PlainImage, find_plain_image

_MOST_FILLING = 2**20  # bytes
_SQUARE = 0.05  # by which a pixel's sides may differ: distortions reach 1 %
_FILTERS = "ugrizy"
_READ_LATER = ("MAGZERO", "SURVEY", "RADESYS", "BUNIT")
_SCIENCE = ("SCI", "IMAGE", "COMPRESSED_IMAGE", "PRIMARY")  # names of the science image, by precedence
_SAME_ZERO_POINT = 0.01  # mag

# Warnings of astropy that change no pixel and no position: wcslib's repairs of spellings (FITSFixedWarning), and these.
_HARMLESS = (
    "Card is too long",  # a comment is shortened
    "Invalid 'BLANK' keyword",  # of an image of floating-point numbers, which has NaN
    "non-ASCII characters are present",  # in a comment or a name that is not read
    "Header block contains null bytes",  # as padding
    "Unexpected extra padding",  # after the last data; `_check_filler` has looked at it
    "The following header keyword is invalid",  # and is skipped; the cards that are used are checked one by one
)


class BadTile(Exception):
    """A tile or a file that cannot be used, with the reason; `find_tiles` turns it into a rejection."""


class Remark(NamedTuple):
    """Something that a tile has and that is not used as it stands."""

    what: str  # "the extension CTX"
    reason: str  # "is not used: ..."


@dataclass(frozen=True)
class TileFile:
    """The headers of one file: where its image, masks and weights are, and its bands."""

    path: Path
    hdu: int
    header: fits.Header
    shape: tuple[int, ...]
    layers: tuple[PixelLayer, ...]  # masks and weights
    bands: str  # the letter of each layer of a cube, or of the one band
    remarks: tuple[Remark, ...] = ()
    plain: PlainImage | None = None  # where its pixels lie, if they are neither compressed nor scaled


def read_tile_file(path: Path, band: str | None, limits: Limits | None = None) -> TileFile:
    """Find the image of a file, its masks and weights: the HDU named SCI or IMAGE, else the primary or the only image.

    Parameters
    ----------
    band : the letter in the file's name, if it has one
    limits : the largest image, and the largest block of a compressed image

    Raises
    ------
    BadTile
        The file is damaged, cut short or too large, holds no image or several, or its header contradicts the band in
        its name.
    """
    limits = limits or Limits()
    remarks: list[Remark] = []
    try:
        _refuse_damaged(path, limits.max_tile_side, limits.max_image_pixels)
        with _listed_warnings(remarks), fits.open(path, memmap=False) as file:
            names = _image_names(file)
            number = _science_image(names)
            header, shape = file[number].header.copy(), tuple(file[number].shape)
            named = [*_filters(file[0].header), *_filters(header)]
            band = _named_band(header, shape, band, named)
            layers = _layers(path, file, names, number, remarks)
            plain = find_plain_image(file[number])
            for card in _READ_LATER:
                header.get(card)  # astropy parses a card on access, and raises then
            if "BSOFTEN" in header and "BOFFSET" in header:
                raise BadTile(
                    "its pixels are asinh magnitudes (BSOFTEN, BOFFSET), as Pan-STARRS stores its stacks; convert them "
                    "to linear fluxes and remove these cards"
                )
    except BadTile:
        raise
    # A damaged header makes astropy raise errors of many kinds: OSError, ValueError, OverflowError ...
    except Exception as error:
        raise BadTile(f"it cannot be read as FITS ({last_line(error)}); fetch it again") from None
    return TileFile(path, number, header, shape, layers, band, tuple(remarks), plain)


def read_layer_file(path: Path, name: str, image: TileFile, limits: Limits | None = None) -> PixelLayer:
    """Find the mask or weight in a file of its own, beside the image.

    Parameters
    ----------
    name : the word in the file's name, in capitals: MASK, WT ...

    Raises
    ------
    BadTile
        The file is damaged, cut short or too large.
    Unknown
        It holds no image, or several, or its meaning is unknown.
    """
    limits = limits or Limits()
    try:
        _refuse_damaged(path, limits.max_tile_side, limits.max_image_pixels)
        with _listed_warnings([]), fits.open(path, memmap=False) as file:
            names = _image_names(file)
            numbers = [k for k, found in names.items() if found == name] or list(names)
            if len(numbers) != 1:
                raise Unknown(f"it holds {len(numbers)} images")
            layer, _ = read_layer(
                str(path), numbers[0], name, file[numbers[0]], file[0].header, image.shape, set(names.values())
            )
            return layer
    except (BadTile, Unknown) as error:
        raise type(error)(str(error)) from None
    except Exception as error:
        raise BadTile(f"it cannot be read as FITS ({last_line(error)}); fetch it again") from None


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


def read_wcs(file: TileFile, remarks: list[Remark]) -> WCS:
    """Read the world coordinate system of a file, and check that its pixels are square and of a plausible size.

    Parameters
    ----------
    remarks : astropy's warnings are added to them, but for the harmless ones

    Raises
    ------
    BadTile
        They are missing or invalid, or the pixels are not square, or too small or large for an image of galaxies.
    """
    name = file.path.name
    with _listed_warnings(remarks):
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
    if not is_pixel_scale(pixel_side(wcs)):
        low, high = PIXEL_SCALES_ARCSEC
        raise BadTile(
            f"{name} has pixels of {pixel_side(wcs):.3g} arcsec by its WCS, not {low:g} to {high:g}; correct CD, PC "
            "or CDELT, which are in degrees unless CUNIT1 and CUNIT2 say otherwise"
        )
    sides = 3600 * proj_plane_pixel_scales(wcs)
    if max(sides) > (1 + _SQUARE) * min(sides):
        raise BadTile(f"{name} has pixels of {sides[0]:.3f} x {sides[1]:.3f} arcsec; resample it to square ones")
    return wcs


def pixel_side(wcs: WCS) -> float:
    """Compute the side of a square with a pixel's area, arcsec."""
    return float(np.sqrt(proj_plane_pixel_area(wcs))) * 3600


def read_zero_point(file: TileFile, usual: float | None, side: float, remarks: list[Remark]) -> float:
    """Read the AB magnitude of one count: MAGZERO, else that of the unit BUNIT, else the survey's usual zero point.

    Parameters
    ----------
    side : of a pixel, arcsec, for units of surface brightness
    remarks : a unit that contradicts MAGZERO is added to them

    Raises
    ------
    BadTile
        There is none, or it is not between 10 and 40 mag.
    """
    by_unit = _zero_point_of_unit(file.header.get("BUNIT"), side)
    value = file.header.get("MAGZERO", usual if by_unit is None else by_unit)
    if value is None:
        raise BadTile(f"{file.path.name} has no MAGZERO, nor has its survey a usual one; add the card MAGZERO (AB mag)")
    try:
        zero_point = np.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        zero_point = np.nan
    if not 10 <= zero_point <= 40:
        raise BadTile(f"{file.path.name} has MAGZERO = {str(value)[:40]}; give the AB magnitude of one count, 10 to 40")
    if by_unit is not None and abs(by_unit - zero_point) > _SAME_ZERO_POINT:
        what = f"the unit BUNIT = {in_one_line(file.header['BUNIT'], 40)}"
        remarks.append(Remark(what, f"is not used: it means {by_unit:.2f} mag, and MAGZERO says {zero_point:g}"))
    return zero_point


def _zero_point_of_unit(unit: object, side: float) -> float | None:
    """The AB magnitude of one count in a unit of flux (nJy, nanomaggy) or surface brightness (MJy/sr), else None."""
    try:
        one = 1 * u.Unit(str(unit or "").strip())
        if one.unit.is_equivalent(u.Jy / u.sr):
            one = one * (side * u.arcsec) ** 2
        return float(one.to(u.Jy, u.zero_point_flux((0 * u.ABmag).to(u.Jy))).to_value(u.ABmag))
    except (ValueError, TypeError, u.UnitConversionError):
        return None  # counts, ADU, electrons per second: MAGZERO gives their meaning


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
            _refuse_odd_scale(header)
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


def _refuse_odd_scale(header: fits.Header) -> None:
    """Refuse a scale of the pixels that is no number: astropy multiplies by it as it is."""
    for card in ("BSCALE", "BZERO"):
        value = header.get(card, 1)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise BadTile(f"its {card} is {in_one_line(repr(value), 40)}, which is not a number; correct this card")


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


@contextmanager
def _listed_warnings(remarks: list[Remark]) -> Iterator[None]:
    """Add what astropy warns of to the remarks, but for the harmless classes."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    for warning in caught:
        text = in_one_line(warning.message, 200)
        if not issubclass(warning.category, FITSFixedWarning) and not text.startswith(_HARMLESS):
            remarks.append(Remark("the header", f"makes astropy warn: {text}"))


def _image_names(file: fits.HDUList) -> dict[int, str]:
    """The names of the HDUs with images, by number; HSC once gave them by the card EXTTYPE."""
    return {
        k: str(hdu.name or hdu.header.get("EXTTYPE", "")).strip().upper()
        for k, hdu in enumerate(file)
        if hdu.is_image and hdu.header.get("NAXIS", 0) >= 2
    }


def _science_image(names: dict[int, str]) -> int:
    """Choose the HDU of the science image by its name, or the only image that is not a mask or weight."""
    images = [k for k, name in names.items() if name not in LAYER_NAMES]
    if not images:
        raise BadTile("it holds no image")
    for name in _SCIENCE:
        images = [k for k in images if names[k] == name] or images
        if names[images[0]] == name:
            break
    if len(images) > 1:
        listed = ", ".join(f"HDU {k} {names[k]}".rstrip() for k in images[:10])
        raise BadTile(
            f"it holds {len(images)} images ({listed}), and any may be the science image; name that one SCI (EXTNAME), "
            "or split the file"
        )
    return images[0]


def _layers(
    path: Path, file: fits.HDUList, names: dict[int, str], number: int, remarks: list[Remark]
) -> tuple[PixelLayer, ...]:
    """The file's masks and weights; other images are remarked upon."""
    layers = []
    for k, name in names.items():
        if k == number:
            continue
        what = f"the extension {name}" if name else f"HDU {k}"
        try:
            layer, remark = read_layer(
                str(path), k, name, file[k], file[0].header, tuple(file[number].shape), set(names.values())
            )
            layers.append(layer)
            if remark:
                remarks.append(Remark(what, remark))
        except Unknown as error:
            remarks.append(Remark(what, f"is not used: {error}"))
    return tuple(layers)


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
