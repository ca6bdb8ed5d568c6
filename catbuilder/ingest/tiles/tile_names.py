"""Read the names of tile files as archives deliver them: which tile, and which band or layer of it.

| survey | names |
|---|---|
| DES | `DES0000-0001_r2590p01_g.fits.fz` |
| Legacy Surveys | `legacysurvey-0001m002-image-g.fits.fz`, `-invvar-g`, `-maskbits` |
| SDSS | `frame-g-002709-2-0117.fits.bz2` |
| any | `T_g.fits`, `T_g.mask.fits`, `T_mask_g.fits`, a cube `T.fits` |
"""

import re

from catbuilder.ingest.tiles.layer_files import IMAGE_WORDS, WORDS, layer_of

ENDINGS = (".fits", ".fits.fz", ".fits.bz2", ".fits.gz")
"""Endings of tile files, in any case; those of .fits.gz are refused by name."""

_ENDING = re.compile(r"\.fits(\.(fz|bz2|gz))?$", re.IGNORECASE)
_BAND = re.compile(r"(?P<tile>.+)_(?P<band>[A-Za-z])")
_FRAME = re.compile(r"frame-(?P<band>[a-z])-(?P<field>\d+-\d-\d+)", re.IGNORECASE)
_BRICK = re.compile(rf"(?P<tile>.+)-(?P<word>image|{WORDS})-(?P<band>[a-z])", re.IGNORECASE)


def plain_stem(file_name: str) -> str:
    """Give a file's name without its ending, with the band last: `legacysurvey-0001m002_g`, `frame-002709-2-0117_g`."""
    stem = _ENDING.sub("", file_name)
    if frame := _FRAME.fullmatch(stem):
        return f"frame-{frame['field']}_{frame['band']}"
    if brick := _BRICK.fullmatch(stem):
        word = "" if brick["word"].lower() == "image" else f"-{brick['word']}"
        return f"{brick['tile']}{word}_{brick['band']}"
    return stem


def split_band(stem: str) -> tuple[str, str | None]:
    """Split a plain stem into the name of the tile and the letter of the band, if it has one."""
    named = _BAND.fullmatch(stem)
    return (named["tile"], named["band"].lower()) if named else (stem, None)


def is_frame(stem: str) -> bool:
    """Whether a plain stem is that of an SDSS frame, whose bands are shifted against each other."""
    return re.fullmatch(r"frame-\d+-\d-\d+(_[a-z])?", stem, re.IGNORECASE) is not None


def tile_of(file_name: str) -> str:
    """Name the tile to which a file belongs, the same for its bands, masks and weights."""
    stem = plain_stem(file_name)
    tile, _ = split_band(layer_of(stem) or stem)
    for word in IMAGE_WORDS:
        tile = tile.removesuffix(word) or tile
    return tile
