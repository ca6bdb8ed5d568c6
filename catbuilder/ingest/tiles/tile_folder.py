"""Make tiles of files: group files into tiles, check their headers, convert sky to pixel positions.

A tile is either one file per band (`tile_names`), or one cube of bands whose header names them. Masks and weights are
in the same files or beside them (`layer_files`). Only headers are read here. A tile that is cut short, has no world
coordinate system or has misaligned bands is refused as a whole, by name, because half a tile would give false colours.
A bad file affects its own tile only. The bands of an SDSS frame are apart by some pixels, as they were exposed one
after another; each is then cut by its own world coordinates.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.wcs import WCS, NoConvergence
from astropy.wcs.utils import skycoord_to_pixel

from catbuilder.core.errors import InputError
from catbuilder.core.settings import Limits
from catbuilder.core.user_csv import Rejection
from catbuilder.ingest.tiles.cutouts import Plane
from catbuilder.ingest.tiles.layer_files import LayerFile, recognise_layer_file
from catbuilder.ingest.tiles.pixel_layers import Unknown
from catbuilder.ingest.tiles.rendering import BANDS
from catbuilder.ingest.tiles.tile_file import (
    BadTile,
    Remark,
    TileFile,
    pixel_side,
    read_layer_file,
    read_tile_file,
    read_wcs,
    read_zero_point,
)
from catbuilder.ingest.tiles.tile_names import is_frame, plain_stem, split_band

# Survey whose units a value of the card SURVEY means.
_MAKERS = {"decals": "decals", "legacysurvey": "decals", "des": "des", "sdss": "sdss"}
# AB magnitude of one count if the header has no MAGZERO: that of DES coadds, or nanomaggies.
_ZERO_POINTS = {"des": 30.0, "sdss": 22.5, "decals": 22.5}
# Cutouts of the Legacy Surveys are resampled but their values are not rescaled: they are nanomaggies in a pixel of
# 0.262 arcsec whatever the WCS says. Measured: five cutouts of 0.10 to 0.14 arcsec per pixel have the same noise, and
# with this rule a galaxy's g and r agree with SDSS to 0.25 mag instead of being off by 1.7.
_COUNTS_PER_ARCSEC = {"decals": 0.262}

_SMALL_CUBE = 2000  # px; a cube narrower than this may be a cutout of one object
_ALIGNED_PIXELS = 0.1  # largest offset between bands
_SHIFTED_SHARE = 0.1  # of the width, by which the bands of a frame may lie apart: those of SDSS by a few pixels


@dataclass(frozen=True)
class Tile:
    """A tile with the three bands of its colours."""

    name: str
    planes: tuple[Plane, ...]  # blue to red
    bands: str
    shape: tuple[int, int]  # rows, columns
    wcs: WCS
    is_cube: bool
    remarks: tuple[Remark, ...] = ()  # what its files hold and nobody uses
    band_wcs: tuple[WCS, ...] = ()  # of each plane, if they are shifted against each other; else all have `wcs`

    @cached_property  # used for each object, and astropy copies the whole WCS for it
    def arcsec_per_pixel(self) -> float:
        """Side of a square with a pixel's area."""
        return pixel_side(self.wcs)

    @property
    def files(self) -> str:
        """Path or URL of its file, or of the three, separated by `, `."""
        return ", ".join(dict.fromkeys(plane.origin or plane.path for plane in self.planes))

    @property
    def may_be_one_object(self) -> bool:
        """Whether it may be a cutout of a single object."""
        return self.is_cube and max(self.shape) < _SMALL_CUBE

    @cached_property
    def mirrored(self) -> bool:
        """Whether east is clockwise of north, unlike on the sky."""
        x, y = (self.shape[1] - 1) / 2, (self.shape[0] - 1) / 2
        middle = self.sky(x, y)
        (east_x, north_x), (east_y, north_y) = (
            [offset.arcsec for offset in middle.spherical_offsets_to(self.sky(*to))] for to in ((x + 1, y), (x, y + 1))
        )
        return bool(east_x * north_y > east_y * north_x)

    def circle(self) -> tuple[float, float, float]:
        """Find a circle on the sky (ICRS ra, dec, radius; deg) that contains the tile."""
        rows, columns = self.shape
        middle = self.sky((columns - 1) / 2, (rows - 1) / 2)
        edge = self.sky(np.linspace(-0.5, columns - 0.5, 9)[[0, 0, 0, 4, 4, 8, 8, 8]],
                        np.linspace(-0.5, rows - 0.5, 9)[[0, 4, 8, 0, 8, 0, 4, 8]])  # fmt: skip
        return middle.ra.deg, middle.dec.deg, 1.01 * float(middle.separation(edge).deg.max())

    def sky(self, x: npt.ArrayLike, y: npt.ArrayLike) -> SkyCoord:
        """Convert pixel positions, counted from 0, to ICRS positions."""
        return self.wcs.pixel_to_world(x, y).icrs

    def pixels(self, ra: npt.ArrayLike, dec: npt.ArrayLike) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Convert ICRS positions (deg) to pixels, counted from 0, with distortions; NaN if that is impossible."""
        try:
            x, y = skycoord_to_pixel(SkyCoord(ra, dec, unit="deg"), self.wcs, origin=0, mode="all")
        except NoConvergence as error:  # a distortion that diverges: positions far off the tile
            x, y = error.best_solution.T
            lost = np.union1d(*(np.asarray([] if k is None else k, int) for k in (error.divergent, error.slow_conv)))
            x[lost] = y[lost] = np.nan
        return np.asarray(x, np.float64), np.asarray(y, np.float64)

    def places(self, x: npt.ArrayLike, y: npt.ArrayLike) -> tuple[tuple[tuple[float, float], ...], ...]:
        """Find the pixel positions in each plane, for `Strip`; empty if the planes have the same grid."""
        sky = self.sky(x, y) if self.band_wcs else None
        found = [skycoord_to_pixel(sky, wcs, origin=0, mode="all") for wcs in self.band_wcs]
        return tuple(tuple(zip(there[0].tolist(), there[1].tolist(), strict=True)) for there in found)

    def edge_distance(self, x: npt.ArrayLike, y: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Compute how far inside the tile's border pixel positions are, arcsec; negative or NaN outside."""
        rows, columns = self.shape
        across, along = np.asarray(x, np.float64) + 0.5, np.asarray(y, np.float64) + 0.5
        inside = np.minimum.reduce([across, columns - across, along, rows - along])
        return inside * self.arcsec_per_pixel


def read_tiles(
    files: Sequence[Path], survey: str, bands: str | None = None, limits: Limits | None = None
) -> tuple[list[Tile], list[Rejection]]:
    """Read the tiles that some files make up, and list the files and tiles that are refused.

    Parameters
    ----------
    files : all files of these tiles, masks and weights too
    survey : gives the zero point if headers have no MAGZERO
    bands : three letters of g, r, i, z; by default gri, or grz for a cube without i
    limits : the largest image
    """
    refused: list[Rejection] = []
    tiles: list[Tile] = []
    found, broken = _read_all(files, refused, limits)
    for (name, _), members in found.items():
        try:
            tiles.append(_tile(name, members, survey, bands))
        except BadTile as error:
            if name not in broken:  # else the missing file has been refused by name
                refused.append(Rejection(str(members[0].path.parent / name), 0, "", str(error)))
    return tiles, refused


def order_bands(bands: str | None) -> str | None:
    """Order the letters of three bands from blue to red; raise InputError if they are not three of g, r, i, z."""
    if bands is None:
        return None
    letters = sorted(bands.replace(",", "").replace(" ", ""), key=lambda letter: BANDS.find(letter))
    for letter in letters:
        if letter not in BANDS:
            raise InputError(f"unknown band '{letter}'; --bands takes three of {', '.join(BANDS)}")
    if len(letters) != 3 or len(set(letters)) != 3:
        raise InputError(
            f"--bands has {len(set(letters))} bands; a colour takes three of {', '.join(BANDS)}, like g,r,i"
        )
    return "".join(letters)


def _read_all(
    paths: Sequence[Path], refused: list[Rejection], limits: Limits | None
) -> tuple[dict[tuple[str, bool], list[TileFile]], set[str]]:
    """Group files into tiles, and name the tiles that lack a refused file.

    A cube is a tile by itself; other files are grouped by the name before the band. So the key is that name and whether
    it is a cube.
    """
    tiles: dict[tuple[str, bool], list[TileFile]] = {}
    broken = set()
    images, beside = _split_layer_files(paths, refused)
    for path in images:
        stem = plain_stem(path.name)
        tile, band = split_band(stem)
        try:
            file = read_tile_file(path, band, limits)
            file = _with_layer_files(file, beside.get(stem, []), limits)
            is_cube = len(file.shape) == 3
            members = tiles.setdefault((stem if is_cube else tile, is_cube), [])
            if not _has_twin(file, members):
                members.append(file)
        except BadTile as error:
            refused.append(Rejection(str(path), 0, "", str(error)))
            if band:
                broken.add(tile)
    return tiles, broken


def _split_layer_files(
    paths: Sequence[Path], refused: list[Rejection]
) -> tuple[list[Path], dict[str, list[tuple[Path, LayerFile]]]]:
    """Separate images from files that hold a mask or weight, listed by the name of their image."""
    stems = {plain_stem(path.name) for path in paths}
    images: list[Path] = []
    beside: dict[str, list[tuple[Path, LayerFile]]] = {}
    seen: set[str] = set()
    for path in paths:
        layer = recognise_layer_file(plain_stem(path.name), stems)
        if layer is None:
            images.append(path)
        elif not layer.images:
            reason = f"its name says that it is no image ({layer.word.lower()}), and there is no image beside it"
            refused.append(Rejection(str(path), 0, "", f"{reason}; rename it if it is one"))
        elif plain_stem(path.name) not in seen:  # else the compressed copy of one that was read
            for image in layer.images:
                beside.setdefault(image, []).append((path, layer))
        seen.add(plain_stem(path.name))
    return images, beside


def _with_layer_files(file: TileFile, beside: list[tuple[Path, LayerFile]], limits: Limits | None) -> TileFile:
    """Add the masks and weights in files of their own to those of the image's file."""
    layers, remarks = list(file.layers), list(file.remarks)
    for path, layer in beside:
        try:
            layers.append(read_layer_file(path, layer.word, file, limits))
        except Unknown as error:
            remarks.append(Remark(f"the {layer.word} file", f"is not used: {error}"))
        except BadTile as error:
            raise BadTile(f"{path.name} beside it cannot be used: {error}") from None
    return replace(file, layers=tuple(layers), remarks=tuple(remarks))


def _has_twin(file: TileFile, members: list[TileFile]) -> bool:
    """Whether it is the compressed copy of a file that was read; the uncompressed one is faster to read."""
    for other in members:
        if other.bands == file.bands and plain_stem(other.path.name) == plain_stem(file.path.name):
            return True
        if other.bands == file.bands or len(file.shape) == 3:
            raise BadTile(
                f"{other.path.name} (bands {other.bands}) is the same band of the same tile; remove one of them"
            )
    return False


def _tile(name: str, files: list[TileFile], survey: str, wanted: str | None) -> Tile:
    is_cube = len(files[0].shape) == 3
    present = files[0].bands if is_cube else "".join(sorted((f.bands for f in files), key=BANDS.find))
    bands = wanted or ("grz" if is_cube and "i" not in present else "gri")
    for band in bands:
        if band not in present:
            raise BadTile(
                f"band {band} is missing (it has {', '.join(present)}); fetch it, or choose other bands with --bands"
            )
    chosen = files * 3 if is_cube else [next(f for f in files if f.bands == band) for band in bands]
    remarks = [remark for file in chosen for remark in file.remarks]
    wcs = read_wcs(chosen[0], remarks)
    shape = chosen[0].shape[-2], chosen[0].shape[-1]
    own = () if is_cube else (wcs, *(read_wcs(file, remarks) for file in chosen[1:]))
    apart = [_offset(chosen[0], wcs, *other) for other in zip(chosen, own, strict=False)]
    most = _SHIFTED_SHARE * min(shape) if is_frame(name) else _ALIGNED_PIXELS
    for file, offset in zip(chosen, apart, strict=False):
        if offset > most:
            far = offset * pixel_side(wcs)
            raise BadTile(
                f"{file.path.name} lies up to {far:.1f} arcsec off {chosen[0].path.name}; bands must be aligned"
            )
    shifted = max(apart, default=0.0) > _ALIGNED_PIXELS
    _refuse_other_layers(chosen)
    planes = tuple(
        Plane(str(file.path), file.hdu, present.index(band) if is_cube else None, band, file.layers,
              _unit(file, survey, wcs, remarks), file.header["BITPIX"] < 0, file.plain)
        for file, band in zip(chosen, bands, strict=True)
    )  # fmt: skip
    return Tile(name, planes, bands, shape, wcs, is_cube, tuple(dict.fromkeys(remarks)), own if shifted else ())


def _refuse_other_layers(files: Sequence[TileFile]) -> None:
    """Refuse a tile if only some files have a mask or weight: a file cut short after its image has lost them."""
    for kind in ("mask", "weight"):
        having = [file.path.name for file in files if any(layer.kind == kind for layer in file.layers)]
        lacking = [file.path.name for file in files if file.path.name not in having]
        if having and lacking:
            raise BadTile(f"{lacking[0]} has no {kind} and {having[0]} has one; fetch the first again")


def _offset(first: TileFile, wcs: WCS, other: TileFile, own: WCS) -> float:
    """The largest distance between the same pixels of two bands, px."""
    if first.shape != other.shape:
        sizes = [" x ".join(str(side) for side in file.shape[::-1]) for file in (first, other)]
        raise BadTile(
            f"{first.path.name} has {sizes[0]} pixels and {other.path.name} {sizes[1]}; bands must be aligned"
        )
    rows, columns = first.shape
    x, y = np.array([0, columns, 0, columns, columns / 2]), np.array([0, 0, rows, rows, rows / 2])
    apart = wcs.pixel_to_world(x, y).separation(own.pixel_to_world(x, y)).to_value(u.arcsec).max()
    return float(apart) / pixel_side(wcs)


def _unit(file: TileFile, survey: str, wcs: WCS, remarks: list[Remark]) -> float:
    """Nanomaggies per square arcsec in one count.

    The header's card SURVEY has precedence over the workspace's name of the survey.
    """
    made_by = str(file.header.get("SURVEY", "")).strip().lower()
    maker = _MAKERS.get(made_by, survey)
    side = _COUNTS_PER_ARCSEC.get(maker, pixel_side(wcs))
    zero_point = read_zero_point(file, _ZERO_POINTS.get(maker), side, remarks)
    return float(10 ** (-0.4 * (zero_point - 22.5)) / side**2)
