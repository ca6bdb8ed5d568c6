"""Convert the columns of a catalogue file to the units of the catalogue: degrees, arcsec, AB magnitudes, shares.

The unit is the one that the file states (TUNIT, VOTable `unit`, Parquet and ECSV metadata); a column without a unit is
in the archive's. astropy parses it and gives the factor; the arithmetic is SQL, since the rows stream.
"""

import math
import warnings
from dataclasses import dataclass
from functools import cache
from typing import Literal

from astropy import units as u

from catbuilder.core.errors import InputError
from catbuilder.core.safe_text import in_one_line
from catbuilder.ingest.tables.table_file import FileColumn

Quantity = Literal[
    "ra", "dec", "longitude", "latitude", "magnitude", "arcsec", "pixels", "degrees", "semi-axes", "share", ""
]
"""What a column measures; "" for one whose unit has no meaning here: counts, flags, names."""

_FORMATS = (None, "fits", "vounit", "cds", "ogip")  # None: astropy's own spelling
_SPELLINGS = {
    "deg": ("degree", "degrees", "degs", "decimal degrees", "decimaldegrees", "°"),
    "rad": ("radian", "radians", "rads"),
    "arcsec": ("arcsecond", "arcseconds", "arcsecs", "asec", '"', "''"),
    "arcmin": ("arcminute", "arcminutes", "arcmins", "'"),
    "mas": ("milliarcsec",),
    "h": ("hr", "hrs", "hour", "hours"),
    "hourangle": ("hour angle",),
    "mag": ("mags", "magnitude", "magnitudes", "luptitude", "luptitudes", "asinh mag"),
    "mag(AB)": ("abmag", "ab mag", "mag_ab", "mag ab", "mag (ab)", "ab magnitude", "ab magnitudes"),
    "nmgy": ("nanomaggies", "nmaggies", "nmaggy"),
    "mgy": ("maggies",),
    "nJy": ("nanojansky",),
    "uJy": ("microjansky",),
    "mJy": ("millijansky",),
    "Jy": ("jansky",),
    "pix": ("pixel", "pixels", "px"),
    "%": ("percent", "per cent"),
}
_MEANT = {spelling: unit for unit, spellings in _SPELLINGS.items() for spelling in spellings}
_NO_UNIT = {"", "-", "--", "---", "none", "null", "n/a", "unitless", "dimensionless", "1"}
_SEXAGESIMAL = {
    "hms": "h", "h:m:s": "h", "hh:mm:ss": "h", "hh:mm:ss.ss": "h", "hh:mm:ss.sss": "h", "h m s": "h", "hh mm ss": "h",
    "hourangle:m:s": "h", "dms": "deg", "d:m:s": "deg", "dd:mm:ss": "deg", "dd:mm:ss.ss": "deg", "dd:mm:ss.s": "deg",
    "ddd:mm:ss": "deg", "d m s": "deg", "dd mm ss": "deg", "deg:arcmin:arcsec": "deg", "deg:m:s": "deg",
}  # fmt: skip

_ACCEPTED: dict[Quantity, str] = {
    "ra": "deg, rad, arcmin, arcsec, hourangle, h, and h:m:s of a text",
    "dec": "deg, rad, arcmin, arcsec, and d:m:s of a text",
    "longitude": "deg, rad, arcmin, arcsec, and d:m:s of a text",
    "latitude": "deg, rad, arcmin, arcsec, and d:m:s of a text",
    "magnitude": "mag, mag(AB), and for fluxes nmgy (nanomaggies), Jy, mJy, uJy, nJy",
    "arcsec": "arcsec, arcmin, deg, rad",
    "pixels": "pix, arcsec, arcmin, deg",
    "degrees": "deg, rad, arcmin, arcsec",
    "semi-axes": "none (a multiple of the semi-major axis), and pix, as archives write it",
    "share": "none (a number without a unit), and %",
}
_AB_ZERO_JY = 3631.0  # flux of magnitude 0; 3.631e-6 Jy is a nanomaggy, of magnitude 22.5
_NMGY_JY = _AB_ZERO_JY * 1e-9
_SAME = 1e-12  # relative difference of a factor from 1 that is only rounding


@dataclass(frozen=True)
class Conversion:
    """How a number of the file becomes one of the catalogue: times `factor`, plus `offset`; or the magnitude of a flux.

    Attributes
    ----------
    unit : the unit as the file states it, "" if it states none
    factor, offset : of a flux, `factor` gives nanomaggies
    is_flux : whether the number is a flux, and the catalogue has the AB magnitude
    sexagesimal : degrees in a unit of a text such as 10:12:34; None if the stated unit leaves its meaning open
    """

    unit: str = ""
    factor: float = 1.0
    offset: float = 0.0
    is_flux: bool = False
    sexagesimal: int | None = 1

    @property
    def changes(self) -> bool:
        """Whether the catalogue's number differs from the file's."""
        return self.is_flux or abs(self.factor - 1) > _SAME or self.offset != 0

    def sql(self, number: str) -> str:
        """Write the SQL of the converted number (DOUBLE); a flux that is not positive gives infinity."""
        if self.is_flux:
            in_nmgy = number if self.factor == 1 else f"{number} * {self.factor:.17e}"
            return (
                f"CASE WHEN {number} > 0 THEN 22.5 - 2.5 * log10({in_nmgy}) "
                f"WHEN {number} <= 0 THEN CAST('infinity' AS DOUBLE) END"
            )
        scaled = f"{number} * {self.factor:.17e}" if abs(self.factor - 1) > _SAME else number
        return f"{scaled} + {self.offset:.17e}" if self.offset else scaled


UNCHANGED = Conversion()


def conversion_of(
    column: FileColumn, quantity: Quantity, where: object, arcsec_per_pixel: float | None = None
) -> Conversion:
    """Find how the numbers of a column are converted.

    Parameters
    ----------
    quantity : what the column measures
    where : the file, for the message
    arcsec_per_pixel : scale by which angles become pixels

    Raises
    ------
    InputError
        The unit that the file states is not known, or is of another kind of quantity.
    """
    written = column.unit.strip()
    plain = written.strip("\"'() ").lower() or written.lower()
    default = Conversion(sexagesimal=15 if quantity == "ra" else 1)
    if not quantity or plain in _NO_UNIT:
        return default
    try:
        if plain in _SEXAGESIMAL and quantity in ("ra", "dec", "longitude", "latitude"):
            return _of_sexagesimal(column, written, _SEXAGESIMAL[plain], quantity)
        return _convert(_parse_of(written, quantity), quantity, written, arcsec_per_pixel)
    except (u.UnitsError, ValueError, TypeError):
        raise InputError(
            f"column {in_one_line(column.name, 60)} of {where} has the unit '{in_one_line(written, 60)}', which cannot "
            f"be converted; units that can: {_ACCEPTED[quantity]}. State one of them, or write the column in one"
        ) from None


def describe(name: str, conversion: Conversion, quantity: Quantity) -> str:
    """Say what was converted: 'RA from rad to deg'."""
    into = {"magnitude": "AB magnitudes", "arcsec": "arcsec", "pixels": "pixels", "share": "shares"}
    return f"{name} from {in_one_line(conversion.unit, 40)} to {into.get(quantity, 'deg')}"


def _parse_of(text: str, quantity: Quantity) -> u.UnitBase:
    """Parse a unit that may stand in brackets: [deg] and [mag] are plain, but [mJy] or [arcsec] is CDS's logarithm."""
    if not (text.startswith("[") and text.endswith("]")):
        return _parse(text)
    inner = _parse(text[1:-1])
    if quantity in ("ra", "dec", "longitude", "latitude") or inner == u.mag:
        return inner
    raise ValueError(text)


@cache
def _parse(text: str) -> u.UnitBase:
    """Parse a unit in any of the spellings that archives use.

    Raises
    ------
    ValueError
        It is none that astropy knows.
    """
    if "[" in text:
        raise ValueError(text)
    squeezed = " ".join(text.split())
    unquoted = squeezed.strip("\"' ") or squeezed  # VizieR quotes some
    for candidate in (squeezed, unquoted, unquoted.lower()):
        known = _MEANT.get(candidate.lower(), candidate)
        for form in _FORMATS:
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", u.UnitsWarning)  # of deprecated spellings, whose meaning is plain
                    return u.Unit(known, format=form, parse_strict="raise")
            except (ValueError, TypeError):
                continue
    raise ValueError(text)


def _of_sexagesimal(column: FileColumn, written: str, unit: str, quantity: Quantity) -> Conversion:
    if column.type != "VARCHAR" or (unit == "h" and quantity != "ra"):
        raise ValueError(written)
    degrees = 15 if unit == "h" else 1
    return Conversion(written, factor=degrees, sexagesimal=degrees)


def _convert(unit: u.UnitBase, quantity: Quantity, written: str, arcsec_per_pixel: float | None) -> Conversion:
    if isinstance(unit, u.function.FunctionUnitBase) and not (quantity == "magnitude" and isinstance(unit, u.MagUnit)):
        raise ValueError(written)  # astropy converts logarithmic units too, but by no factor
    if quantity in ("dec", "latitude", "longitude") and unit == u.hourangle:
        raise ValueError(written)
    if quantity == "ra" and unit in (u.h, u.hourangle):
        return Conversion(written, 15.0, sexagesimal=15)
    if quantity == "ra":
        return Conversion(written, float(unit.to(u.deg)), sexagesimal=None)
    if quantity == "magnitude":
        return _to_magnitude(unit, written)
    if quantity == "pixels" and not unit.is_equivalent(u.pix):
        if arcsec_per_pixel is None:
            raise ValueError(written)
        return Conversion(written, float(unit.to(u.arcsec)) / arcsec_per_pixel)
    if quantity == "semi-axes" and unit == u.pix:
        return Conversion(written)
    target = {
        "semi-axes": u.dimensionless_unscaled,
        "arcsec": u.arcsec,
        "pixels": u.pix,
        "share": u.dimensionless_unscaled,
    }.get(quantity, u.deg)
    factor = float(unit.to(target))
    if quantity in ("dec", "longitude", "latitude") and abs(factor - 1) > _SAME:
        return Conversion(written, factor, sexagesimal=None)  # -49:14:10 may be degrees although radians are stated
    return Conversion(written, factor)


def _to_magnitude(unit: u.UnitBase, written: str) -> Conversion:
    if isinstance(unit, u.MagUnit):  # mag(AB); mag(nJy) has another zero point
        if unit.physical_unit == u.AB:
            return Conversion(written, float(unit.function_unit.to(u.mag)))
        zero = float(unit.physical_unit.to(u.Jy)) / _AB_ZERO_JY
        return Conversion(written, float(unit.function_unit.to(u.mag)), -2.5 * math.log10(zero))
    if unit.is_equivalent(u.Jy):
        return Conversion(written, _near_one(float(unit.to(u.Jy)) / _NMGY_JY), is_flux=True)
    if unit.is_equivalent(u.nmgy):
        return Conversion(written, _near_one(float(unit.to(u.nmgy))), is_flux=True)
    if len(unit.bases) != 1 or "mag" not in unit.bases[0].name:  # astropy converts dex and dB, logarithms of anything
        raise ValueError(written)
    return Conversion(written, float(unit.to(u.mag)))


def _near_one(factor: float) -> float:
    return 1.0 if abs(factor - 1) < _SAME else factor
