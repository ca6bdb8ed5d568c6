"""Check the arguments of public calls: a word out of a few, a number in its range, names as a list or as text."""

from collections.abc import Iterable, Sequence

from catbuilder.core.errors import InputError


def require_one_of(value: object, choices: Iterable[str], what: str) -> None:
    """Raise InputError, with the choices, if a value is none of them."""
    known = list(choices)
    if value not in known:
        raise InputError(f"{what} cannot be '{value}'; use {', '.join(known[:-1])} or {known[-1]}")


def require_number_in(value: float | None, low: float, high: float, what: str) -> None:
    """Raise InputError if a number that was given is not from `low` to `high`; NaN never is."""
    if value is not None and not low <= value <= high:
        raise InputError(f"{what} cannot be {value:g}; give a number from {low:g} to {high:g}")


INT64_MAX = 2**63 - 1
"""The largest number that DuckDB and numpy take as a seed or a number of rows."""


def name_list(names: str | Sequence[str]) -> list[str]:
    """Give names as a list; text is split at its commas, as on the command line."""
    given = names.split(",") if isinstance(names, str) else names
    return [name.strip() for name in given]


PIXEL_SCALES_ARCSEC = (0.001, 60.0)
"""Pixel scales that an image of galaxies may have: those of telescopes on the ground and in space, with a margin."""


def is_pixel_scale(arcsec_per_pixel: float) -> bool:
    """Test whether a number can be the pixel scale of an image of galaxies; NaN and infinity cannot."""
    return PIXEL_SCALES_ARCSEC[0] <= arcsec_per_pixel <= PIXEL_SCALES_ARCSEC[1]


def require_pixel_scale(arcsec_per_pixel: float | None, what: str) -> None:
    """Raise InputError if a pixel scale is given and is not one: negative, 0, NaN, infinite or implausible."""
    if arcsec_per_pixel is not None and not is_pixel_scale(arcsec_per_pixel):
        low, high = PIXEL_SCALES_ARCSEC
        raise InputError(f"{what} is {arcsec_per_pixel:g}; give the arcsec per pixel, from {low:g} to {high:g}")
