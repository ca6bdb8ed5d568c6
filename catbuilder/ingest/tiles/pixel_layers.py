"""Recognise masks, weights and errors beside a tile's image, and tell which of their values mean a bad pixel.

A value of a mask is a set of bits, and every survey numbers them differently. Bits of pixels without usable light count
as bad: defects, saturation, no data. Bits of repaired pixels (cosmic rays, interpolation) do not, because in a deep
coadd most pixels have one, and those of detected objects are set on every galaxy. A mask whose bits are unknown is not
used, and the report says so.

| survey | mask | bits by |
|---|---|---|
| DES | MSK, or MASK beside WEIGHT | none: any value but 0 |
| LSST, HSC | MASK | the cards MP_BAD, MP_SAT ... (afw) |
| Pan-STARRS | `.mask.fits` | the cards MSKNAM00, MSKVAL00 ... (IPP) |
| Legacy Surveys | `maskbits` | the documented bits of DR8 to DR10, by band |
| JWST, HST | DQ | the documented bits, by the card TELESCOP |
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from catbuilder.ingest.tiles.tile_rows import PlainImage, find_plain_image

if TYPE_CHECKING:
    from astropy.io import fits

WEIGHT_NAMES = frozenset(("WGT", "WHT", "WEIGHT", "WT", "IVAR", "INVVAR"))
"""Extensions in which 0 means no data."""
ERROR_NAMES = frozenset(("ERR", "ERROR", "RMS", "SIGMA", "STD", "VAR", "VARIANCE"))
"""Extensions in which a pixel with data has a positive finite value."""
MASK_NAMES = frozenset(("MSK", "MASK", "BPM", "DQ", "DQM", "FLAG", "FLAGS", "FLG", "MASKBITS"))
LAYER_NAMES = WEIGHT_NAMES | ERROR_NAMES | MASK_NAMES

_ZERO_IS_GOOD = ("MSK", "BPM")
_ANY_BIT = -1

# Planes of lsst.afw that mean no usable light. DETECTED is set on every galaxy; CR and INTRP on repaired pixels.
_AFW_BAD = ("BAD", "SAT", "NO_DATA", "EDGE", "UNMASKEDNAN")
_AFW_DEFAULT = {"BAD": 0, "SAT": 1, "EDGE": 4, "NO_DATA": 8}  # numbers of planes that afw defines by itself
_AFW_LAYOUT = frozenset(("IMAGE", "MASK", "VARIANCE"))
_DES_LAYOUT = frozenset(("IMAGE", "MASK", "WEIGHT"))
# masks.16bit.config of the IPP: defects, saturation, no data, and pixels spoilt by convolution with one of them
_IPP_BAD = ("DETECTOR", "FLAT", "DARK", "BLANK", "CTE", "SAT", "LOW", "CONV.BAD")
# legacysurvey.org, bitmasks: SATUR_x (saturated in one exposure) and ALLMASK_x (bad in all)
_MASKBITS_BAD = {"g": 1 << 2 | 1 << 5, "r": 1 << 3 | 1 << 6, "z": 1 << 4 | 1 << 7, "i": 1 << 14 | 1 << 15}
_DQ_BAD = {
    "JWST": 1 << 0 | 1 << 1 | 1 << 9,  # DO_NOT_USE, SATURATED, NON_SCIENCE
    "HST": 1 << 0 | 1 << 1 | 1 << 2 | 1 << 8,  # lost, filled, bad detector pixel, saturated: alike in ACS and WFC3
}


class Unknown(Exception):
    """An extension or file that is not used, with the reason."""


@dataclass(frozen=True)
class PixelLayer:
    """A mask or weight of an image."""

    path: str
    hdu: int
    kind: Literal["mask", "weight"]
    bits: dict[str, int] | int = _ANY_BIT  # of a mask: a value with one of them is bad; by band, where they differ
    is_cube: bool = False  # a layer for each band, like the image
    plain: PlainImage | None = None  # where its pixels lie, if they are neither compressed nor scaled

    def bits_of(self, band: str) -> int:
        """Return the bits that mean a bad pixel in a band; -1 for any value but 0."""
        return self.bits.get(band, 0) if isinstance(self.bits, dict) else self.bits


def find_bad(kind: str, bits: int, values: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Mark bad pixels: those with one of a mask's bits, or whose weight or error is not a positive finite number."""
    if kind == "weight":
        return ~((values > 0) & (values < np.inf))
    if bits == _ANY_BIT:
        return np.asarray(values != 0)
    if values.dtype.kind == "f":
        known = np.isfinite(values)
        return ~known | ((np.where(known, values, 0).astype(np.int64) & bits) != 0)
    return np.asarray((values.astype(np.int64) & bits) != 0)


def read_layer(
    path: str, number: int, name: str, hdu: fits.ImageHDU, image: fits.Header, shape: tuple[int, ...], names: set[str]
) -> tuple[PixelLayer, str | None]:
    """Tell how a mask or weight is to be used, and a remark for the report if its meaning is not quite certain.

    Parameters
    ----------
    name : of the extension in capitals, or the word in the file's name that stands for it
    image : the file's primary header, which names the telescope
    shape : of the science image
    names : those of the file's images

    Raises
    ------
    Unknown
        Its meaning is unknown, or its shape is another than the image's.
    """
    remark = None
    bits: dict[str, int] | int = _ANY_BIT
    if name not in LAYER_NAMES:
        raise Unknown("it is not a known mask or weight")
    if name in MASK_NAMES and name not in _ZERO_IS_GOOD:
        bits, remark = _mask_bits(name, hdu.header, image, names)
    if hdu.shape not in (shape, shape[-2:]):
        sizes = [" x ".join(str(side) for side in sides[::-1]) for sides in (hdu.shape, shape)]
        raise Unknown(f"it has {sizes[0]} pixels and the image {sizes[1]}")
    kind: Literal["mask", "weight"] = "mask" if name in MASK_NAMES else "weight"
    return PixelLayer(path, number, kind, bits, len(hdu.shape) == 3, find_plain_image(hdu)), remark


def _mask_bits(
    name: str, header: fits.Header, image: fits.Header, names: set[str]
) -> tuple[dict[str, int] | int, str | None]:
    """The bits of bad pixels by the header's own names, else by what the survey documents."""
    planes = {str(card)[3:].upper(): header[card] for card in header if str(card).upper().startswith("MP_")}
    planes |= {
        str(header[card]).strip().upper(): _bit_number(header.get(f"MSKVAL{str(card)[6:]}"))
        for card in header
        if str(card).startswith("MSKNAM")
    }
    if planes:
        found = [planes[bad] for bad in dict.fromkeys((*_AFW_BAD, *_IPP_BAD)) if bad in planes]
        if not found or not all(_is_bit(number) for number in found):
            raise Unknown("its MP_ or MSKNAM cards give no number to a plane of bad, saturated or missing pixels")
        return sum(1 << number for number in set(found)), None
    if name == "MASKBITS":
        return _MASKBITS_BAD, None
    telescope = str(header.get("TELESCOP", image.get("TELESCOP", ""))).strip().upper()
    if name == "DQ" and telescope in _DQ_BAD:
        return _DQ_BAD[telescope], None
    if name == "MASK" and names >= _AFW_LAYOUT:
        listed = ", ".join(f"{plane} {number}" for plane, number in _AFW_DEFAULT.items())
        return sum(1 << number for number in _AFW_DEFAULT.values()), (
            f"has no MP_ cards and is read by the default planes of LSST: bits {listed}"
        )
    if name == "MASK" and names >= _DES_LAYOUT:
        return _ANY_BIT, "beside IMAGE and WEIGHT is read as that of DES: any value but 0 is a bad pixel"
    raise Unknown("its header does not say which bits mean bad pixels (cards MP_... or MSKNAM...)")


def _bit_number(value: Any) -> Any:
    """The number of the only bit of a value; the value itself if it has more bits, which `_is_bit` then refuses."""
    return value.bit_length() - 1 if type(value) is int and value.bit_count() == 1 else None


def _is_bit(number: Any) -> bool:
    return type(number) is int and 0 <= number < 63
