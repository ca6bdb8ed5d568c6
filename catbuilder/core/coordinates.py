"""Read positions as people write them, and notice degrees that look like hours or radians.

A right ascension is in degrees, or in hours, minutes and seconds: 30.1, 2:00:24, 02 00 24, 02h00m24s, 30d06m00s. A
declination is in degrees, or in degrees, minutes and seconds. Right ascensions from -180 to 180 and from 0 to 360 mean
the same sky. `sql/queries/ingest/position_macros.sql` reads the same texts for catalogues of any size, and a test
compares the two with astropy.
"""

import math
import re
from collections.abc import Sequence
from typing import Literal

from catbuilder.core.safe_text import is_number

Axis = Literal["ra", "dec"]

RA_LIMITS, DEC_LIMITS = (-180.0, 360.0), (-90.0, 90.0)

_SIGNS = str.maketrans("\u2212\u2013ʰᵐˢ°º′’'″”\"", "--hmsddmmmsss")  # 10°12′34″ is 10d12m34s
_SECONDS = r"[0-5]?\d(?:\.\d*)?|60(?:\.0*)?"  # 60 is allowed: archives round 59.996 up
_BETWEEN = r"(?:\s*:\s*|\s+)"
_UNIT = "h|hrs?|hours?|d|deg|degrees?"
_SEXAGESIMAL = re.compile(
    rf"([+-]?)(?:(\d{{1,3}}(?:\.\d*)?)\s*({_UNIT})"
    rf"|(\d{{1,3}})\s*({_UNIT})\s*(?:([0-5]?\d(?:\.\d*)?)\s*m|([0-5]?\d)\s*m\s*({_SECONDS})\s*s?)"
    rf"|(\d{{1,3}}){_BETWEEN}([0-5]?\d){_BETWEEN}({_SECONDS}))",
    re.ASCII,
)

_FEWEST = 3  # positions that can show a range
_WIDE = 2 / 3  # of 24 hours or of a turn: a field on the sky that is as wide, and begins at 0, is rare


def read_degrees(text: str, axis: Axis) -> float | None:
    """Read a coordinate in degrees from a decimal or sexagesimal text; None if it is neither.

    Its range is not checked, except that there are at most 24 hours.
    """
    plain = text.strip().lower().translate(_SIGNS).replace("mm", "s")
    found = _SEXAGESIMAL.fullmatch(plain)
    if not found:
        return float(plain) if is_number(plain) else None
    sign, whole_1, unit_1, whole_2, unit_2, minutes_2, minutes_3, seconds_3, *colons = (x or "" for x in found.groups())
    whole = float(whole_1 or whole_2 or colons[0])
    minutes = float(minutes_2 or minutes_3 or colons[1] or 0)
    value = whole + minutes / 60 + float(seconds_3 or colons[2] or 0) / 3600
    unit = (unit_1 or unit_2 or ("h" if axis == "ra" else "d"))[0]
    if unit == "h" and (axis == "dec" or whole >= 25):
        return None
    return (-value if sign == "-" else value) * (15 if unit == "h" else 1)


def wrap_ra(ra: float) -> float:
    """Give the right ascension from 0 to 360 of one from -180 to 360 (degrees)."""
    return ra + 360.0 if ra < 0 else ra


def doubt_positions(places: Sequence[tuple[float | None, float | None]]) -> str:
    """Say in a sentence that positions (ra, dec) may be in hours or radians; "" if they do not seem so."""
    known = [(ra, dec) for ra, dec in places if ra is not None and dec is not None]
    if not known:
        return ""
    ra, dec = zip(*known, strict=True)
    return doubt_degrees(len(known), (min(ra), max(ra)), (min(dec), max(dec)))


def doubt_degrees(n: int, ra: tuple[float, float], dec: tuple[float, float]) -> str:
    """Say in a sentence that `n` positions without a stated unit may be in hours or radians; "" if they do not seem so.

    `ra` and `dec` are their smallest and largest values. Only wide ranges are mentioned: right ascensions that all lie
    between 0 and 24 (or 2 pi, with declinations within pi / 2) and cover more than two thirds of that. A field of a few
    degrees near right ascension 12 is ordinary.
    """
    if n < _FEWEST or ra[0] < 0:
        return ""
    width, turn = ra[1] - ra[0], 2 * math.pi
    if ra[1] <= turn and max(abs(dec[0]), abs(dec[1])) <= math.pi / 2 and width > _WIDE * turn:
        unit, factor = "radians", "180 / pi"
    elif ra[1] <= 24 and width > _WIDE * 24:
        unit, factor = "hours", "15"
    else:
        return ""
    what = "positions" if unit == "radians" else "right ascensions"
    return (
        f"All {n:,} {what} lie in the range of {unit} (right ascension {ra[0]:.4g} to {ra[1]:.4g}) and state no unit: "
        f"they were read as degrees; if they are {unit}, multiply them by {factor}, or state the unit if the format "
        "has units"
    )
