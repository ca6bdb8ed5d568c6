"""Recognise by their names the files that hold the mask or weight of a tile in another file.

Pan-STARRS delivers `x.fits`, `x.mask.fits` and `x.wt.fits`, the Legacy Surveys `brick-image-g.fits`,
`brick-invvar-g.fits` and `brick-maskbits.fits`. With the band last (`tile_names`) they are `T_g.fits`, `T_g.mask.fits`,
`T-invvar_g.fits`, `T-maskbits.fits`. Without this such a file is no tile at best, and at worst three of them are taken
for the bands of one.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass

from catbuilder.ingest.tiles.pixel_layers import LAYER_NAMES

# Not masks or weights, but delivered beside images: exposure maps, backgrounds, segmentation ...
_OTHER_WORDS = (
    "EXP", "NEXP", "DEPTH", "CTX", "CON", "COV", "BKG", "SEG", "SEGMENTATION", "MODEL", "CHI2", "PSF", "PSFSIZE",
    "PSFDEPTH", "GALDEPTH", "BLOBMODEL", "RESID",
)  # fmt: skip
WORDS = "|".join((*LAYER_NAMES, *_OTHER_WORDS))
"""A regular expression of the words that say what a file is, if it is no image."""
IMAGE_WORDS = ("_image", "-image", ".image", "_img", "_sci")
"""What the names of images may have before their band."""
_LAST = re.compile(rf"(?P<image>.+)[._-](?P<word>{WORDS})", re.IGNORECASE)  # T_g.mask
_BEFORE_BAND = re.compile(rf"(?P<image>.+)[._-](?P<word>{WORDS})_(?P<band>[a-z])", re.IGNORECASE)  # T_mask_g


@dataclass(frozen=True)
class LayerFile:
    """What the name of a file says: which layer it is, and of which images."""

    word: str  # MASK, WT ...
    images: tuple[str, ...]  # names of these without .fits; none if there is no image beside it


def recognise_layer_file(stem: str, stems: Collection[str]) -> LayerFile | None:
    """Tell which layer of which images a file is by its name, or None if it is an image itself.

    A file without an image beside it is a layer only if its name calls it a mask, weight or error.

    Parameters
    ----------
    stem : its name without .fits
    stems : those of all files in the folder
    """
    named = _BEFORE_BAND.fullmatch(stem)
    if named:
        images = tuple(
            other for word in ("", *IMAGE_WORDS) if (other := f"{named['image']}{word}_{named['band']}") in stems
        )
    else:
        named = _LAST.fullmatch(stem)
        if not named:
            return None
        own = re.compile(rf"{re.escape(named['image'])}(_[A-Za-z])?")
        images = tuple(sorted(other for other in stems if own.fullmatch(other)))
    word = named["word"].upper()
    return LayerFile(word, images) if images or word in LAYER_NAMES else None


def layer_of(stem: str) -> str | None:
    """Name the image whose layer a file is by its own name alone, without the band; None if it says no such thing."""
    named = _BEFORE_BAND.fullmatch(stem) or _LAST.fullmatch(stem)
    return named["image"] if named else None
