"""One FITS file of a folder of tiles: whether it is whole, which image is in it, and which band its header names.

The headers are first walked by hand, block by block. astropy trusts them: a damaged NAXIS keeps it busy for ever, and
a file that was cut short opens without a word. The price is that every header is read twice, a few kilobytes.
"""

import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.wcs import WCS
from astropy.wcs.utils import proj_plane_pixel_area, proj_plane_pixel_scales

_BLOCK = 2880  # bytes, the unit of FITS
_MOST_AXES = 999  # FITS standard 4.0, section 4.4.1.1
_SQUARE = 0.05  # by which a pixel's sides may differ: distortions reach 1 %
_FILTERS = "ugrizy"


class Refused(Exception):
    """A tile or a file that cannot be used, and why. `find_tiles` turns it into a rejection; nobody else sees it."""


@dataclass(frozen=True)
class TileFile:
    """What the headers of one file say."""

    path: Path
    hdu: int
    header: fits.Header
    shape: tuple[int, ...]
    mask: int | None
    weight: int | None
    bands: str  # of a cube: its layers; of one band: its letter


def read_tile_file(path: Path, band: str | None) -> TileFile:
    """The image of a file: the HDU named SCI, else the first image that is no mask or weight.

    Parameters
    ----------
    band : the letter in the file's name, if it has one

    Raises
    ------
    Refused
        The file is damaged or cut short, holds no image, or is of another band than its name says.
    """
    try:
        for header in _headers(path):
            _refuse_odd_size(header)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what astropy warns of is refused below, in one sentence
            with fits.open(path, memmap=False) as file:
                number, names = _image(file)
                header, shape = file[number].header.copy(), tuple(file[number].shape)
                named = [*_filters(file[0].header), *_filters(header)]
    except Refused:
        raise
    # A damaged header raises what astropy happens to do with it: OSError, ValueError, AttributeError, OverflowError ...
    except Exception as error:
        raise Refused(f"it cannot be read as FITS ({in_short(error)}); fetch it again") from None
    if len(shape) > 3:
        raise Refused(f"its image has {len(shape)} axes; a tile has two, a cube of bands three")
    if len(shape) == 3:
        band = _cube_bands(header, shape[0])
    elif band is None:
        raise Refused("it is neither a cube nor named for its band; rename it to end in _g.fits, _r.fits ...")
    else:
        for letter in named:
            if letter != band:
                raise Refused(f"its name says band {band} and its header {letter}; rename it, or mend BAND and FILTER")
    return TileFile(path, number, header, shape, names.get("MSK"), names.get("WGT"), band)


def read_world(file: TileFile) -> WCS:
    """The celestial coordinates of a file, which work and have square pixels.

    Raises
    ------
    Refused
        They are missing or invalid, or the pixels are not square.
    """
    name = file.path.name
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # FITSFixedWarning: harmless spellings that wcslib mends
        try:
            wcs = WCS(file.header, naxis=2)
            usable = wcs.has_celestial and np.isfinite(pixel_side(wcs)) and pixel_side(wcs) > 0
            if usable:
                place = wcs.pixel_to_world(0, 0)
                if not isinstance(place, SkyCoord):  # two bare angles
                    raise ValueError(f"RADESYS {file.header.get('RADESYS')} is unknown")
                usable = bool(np.isfinite(place.icrs.ra.deg))
        except Exception as error:  # wcslib raises a dozen classes of its own, astropy AttributeError and TypeError
            raise Refused(f"the world coordinates of {name} are invalid ({in_short(error)})") from None
    if not usable:
        raise Refused(f"{name} has no world coordinates (CTYPE1, CRVAL1, CD1_1 ...); objects cannot be found")
    sides = 3600 * proj_plane_pixel_scales(wcs)
    if max(sides) > (1 + _SQUARE) * min(sides):
        raise Refused(f"{name} has pixels of {sides[0]:.3f} x {sides[1]:.3f} arcsec; resample it to square ones")
    return wcs


def pixel_side(wcs: WCS) -> float:
    """Side of a pixel, arcsec, as a square of the same area."""
    return float(np.sqrt(proj_plane_pixel_area(wcs))) * 3600


def read_zero_point(file: TileFile, usual: float | None) -> float:
    """AB magnitude of one count: MAGZERO, or the survey's usual one.

    Raises
    ------
    Refused
        There is none, or it is no magnitude between 10 and 40.
    """
    value = file.header.get("MAGZERO", usual)
    if value is None:
        raise Refused(f"{file.path.name} has no MAGZERO and its survey no usual one; add the card MAGZERO (AB mag)")
    try:
        zero_point = np.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        zero_point = np.nan
    if not 10 <= zero_point <= 40:
        raise Refused(f"{file.path.name} has MAGZERO = {str(value)[:40]}; give the AB magnitude of one count, 10 to 40")
    return zero_point


def in_short(error: Exception) -> str:
    """The last line of an error's message, where wcslib and others say what it is about; its class if it has none."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__


def _headers(path: Path) -> Iterator[fits.Header]:
    """Header after header, after making sure that the file is as long as they declare."""
    length, end = path.stat().st_size, 0
    with open(path, "rb") as file:
        if file.read(6) != b"SIMPLE":
            raise Refused("it cannot be read as FITS (it does not begin with SIMPLE); fetch it again")
        while end < length:
            file.seek(end)
            if end and file.read(8) != b"XTENSION":
                return  # filling after the last HDU
            file.seek(end)
            try:
                header = fits.Header.fromfile(file)
            except (OSError, ValueError):
                raise Refused(f"it is cut short inside the header at byte {end:,}; fetch it again") from None
            yield header
            data = file.tell()
            declared = data + _data_bytes(header)
            if declared > length:
                raise Refused(
                    f"it is cut short: {length:,} bytes where its header declares {declared:,}; fetch it again"
                )
            end = data + -(-_data_bytes(header) // _BLOCK) * _BLOCK


def _refuse_odd_size(header: fits.Header) -> None:
    for card in ("NAXIS", "ZNAXIS"):  # ZNAXIS: of a compressed image
        axes = header.get(card, 0)
        if not _is_count(axes) or axes > _MOST_AXES:
            raise Refused(f"its header is damaged ({card} is {axes!r}); fetch it again")
        for k in range(1, axes + 1):
            if not _is_count(header.get(f"{card}{k}")):
                raise Refused(f"its header is damaged ({card}{k} is {header.get(f'{card}{k}')!r}); fetch it again")
    for card in ("PCOUNT", "GCOUNT"):
        if not _is_count(header.get(card, 1)):
            raise Refused(f"its header is damaged ({card} is {header[card]!r}); fetch it again")
    if header.get("BITPIX") not in (8, 16, 32, 64, -32, -64):
        raise Refused(f"its header is damaged (BITPIX is {header.get('BITPIX')!r}); fetch it again")


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _data_bytes(header: fits.Header) -> int:
    """Size of the data that follow a header (FITS standard 4.0, equation 2)."""
    if header["NAXIS"] == 0:
        return 0
    pixels = 1
    for k in range(1, header["NAXIS"] + 1):
        pixels *= header[f"NAXIS{k}"]
    return int(abs(header["BITPIX"]) // 8 * header.get("GCOUNT", 1) * (header.get("PCOUNT", 0) + pixels))


def _image(file: fits.HDUList) -> tuple[int, dict[str, int]]:
    """Number of the HDU that holds the image, and numbers by name."""
    names = {hdu.name: k for k, hdu in enumerate(file)}
    images = [k for k, hdu in enumerate(file) if hdu.is_image and hdu.header.get("NAXIS", 0) >= 2]
    images = [k for k in images if file[k].name not in ("MSK", "WGT")]
    if not images:
        raise Refused("it holds no image")
    return (names["SCI"] if names.get("SCI") in images else images[0]), names


def _filters(header: fits.Header) -> list[str]:
    """Bands that BAND or FILTER name; DECam writes 'g DECam SDSS c0001 4720.0 1520.0', others what is no letter."""
    words = [str(header.get(card, "")).split() for card in ("BAND", "FILTER")]
    return [word[0].lower() for word in words if word and len(word[0]) == 1 and word[0].lower() in _FILTERS]


def _cube_bands(header: fits.Header, layers: int) -> str:
    """Band of each layer, by the card BANDS = 'grz' or BAND0, BAND1 ..."""
    listed = re.sub("[, ]", "", str(header.get("BANDS", "")))
    letters = listed or "".join(str(header.get(f"BAND{k}", "?")).strip() for k in range(min(layers, 99)))
    if len(letters) != layers or "?" in letters:
        raise Refused(
            f"it is a cube of {layers} layers whose header does not name each band; add the card BANDS = 'grz'"
        )
    return letters
