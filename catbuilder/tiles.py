"""Coadd tiles in a folder: which files belong together, what their headers promise, and what lies on them.

A tile is either one file a band, named `..._g.fits` or `..._g.fits.fz` as DES does, or one cube of bands whose
header names them. Only headers are read here. A tile that cannot be trusted (cut short, without a world coordinate
system, bands that do not lie on one another) is refused as a whole, by name: half a tile would give stamps in false
colours.
"""

import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.wcs import WCS, NoConvergence
from astropy.wcs.utils import proj_plane_pixel_area, skycoord_to_pixel

from catbuilder.cutouts import Plane
from catbuilder.errors import InputError
from catbuilder.rendering import BANDS
from catbuilder.tables import Rejection

# AB magnitude of one count where the header has no MAGZERO: DES coadds; nanomaggies.
_ZERO_POINTS = {"des": 30.0, "sdss": 22.5, "decals": 22.5}
# Cutouts of the Legacy Surveys are resampled but their values are not rescaled: nanomaggies in a pixel of 0.262 arcsec
# whatever the WCS says. Measured: the noise of five cutouts of 0.10 to 0.14 arcsec a pixel is the same, and a galaxy's
# g and r then agree with SDSS to 0.25 mag instead of being off by 1.7.
_COUNTS_PER_ARCSEC = {"decals": 0.262}

_BAND_FILE = re.compile(r"(?P<tile>.+)_(?P<band>[A-Za-z])")
_SMALL_CUBE = 2000  # px; a cube narrower than this may be a cutout of one object
_ALIGNED_PIXELS = 0.1  # bands may lie this far apart


@dataclass(frozen=True)
class Tile:
    """A tile with the three bands that make its colours."""

    name: str
    planes: tuple[Plane, ...]  # blue to red
    bands: str
    shape: tuple[int, int]  # rows, columns
    wcs: WCS
    is_cube: bool

    @property
    def arcsec_per_pixel(self) -> float:
        """Side of a pixel, as a square of the same area."""
        return _pixel_side(self.wcs)

    @property
    def files(self) -> str:
        """Path of its file, or of the three, separated by `, `."""
        return ", ".join(dict.fromkeys(plane.path for plane in self.planes))

    @property
    def may_be_one_object(self) -> bool:
        """Whether it may be a cutout made around a single object."""
        return self.is_cube and max(self.shape) < _SMALL_CUBE

    def circle(self) -> tuple[float, float, float]:
        """A circle on the sky (ICRS ra, dec, radius; deg) that holds the whole tile."""
        rows, columns = self.shape
        middle = self.sky((columns - 1) / 2, (rows - 1) / 2)
        edge = self.sky(np.linspace(-0.5, columns - 0.5, 9)[[0, 0, 0, 4, 4, 8, 8, 8]],
                        np.linspace(-0.5, rows - 0.5, 9)[[0, 4, 8, 0, 8, 0, 4, 8]])  # fmt: skip
        return middle.ra.deg, middle.dec.deg, 1.01 * float(middle.separation(edge).deg.max())

    def sky(self, x: npt.ArrayLike, y: npt.ArrayLike) -> SkyCoord:
        """ICRS position of pixels, counted from 0."""
        return self.wcs.pixel_to_world(x, y).icrs

    def pixels(self, ra: npt.ArrayLike, dec: npt.ArrayLike) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Where positions (ICRS, deg) lie on it, counted from 0, distortions included; NaN where nowhere."""
        try:
            x, y = skycoord_to_pixel(SkyCoord(ra, dec, unit="deg"), self.wcs, origin=0, mode="all")
        except NoConvergence as error:  # a polynomial that runs away: positions well off the tile
            x, y = error.best_solution.T
            lost = np.union1d(*(np.asarray([] if k is None else k, int) for k in (error.divergent, error.slow_conv)))
            x[lost] = y[lost] = np.nan
        return np.asarray(x, np.float64), np.asarray(y, np.float64)

    def edge_distance(self, x: npt.ArrayLike, y: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """How far inside the tile's border pixel positions lie, arcsec; negative or NaN outside."""
        rows, columns = self.shape
        across, along = np.asarray(x, np.float64) + 0.5, np.asarray(y, np.float64) + 0.5
        inside = np.minimum.reduce([across, columns - across, along, rows - along])
        return inside * self.arcsec_per_pixel


def find_tiles(folder: Path, survey: str, bands: str | None = None) -> tuple[list[Tile], list[Rejection]]:
    """Tiles of a folder, and the files or tiles that are refused, by name.

    Parameters
    ----------
    survey : gives the zero point where headers have no MAGZERO
    bands : three letters of g, r, i, z; by default gri, and grz of a cube that has no i

    Raises
    ------
    InputError
        No FITS file, unknown bands, or not one tile can be used.
    """
    wanted = _wanted(bands)
    if not folder.is_dir():
        raise InputError(f"there is no folder {folder}; give the folder that holds the tiles")
    paths = sorted(p for p in folder.iterdir() if p.name.lower().endswith((".fits", ".fits.fz")) and p.is_file())
    if not paths:
        raise InputError(f"{folder} holds no .fits or .fits.fz file; give the folder that holds the tiles")
    tiles: list[Tile] = []
    refused: list[Rejection] = []
    files, broken = _read_all(paths, refused)
    for name, members in files.items():
        try:
            tiles.append(_tile(name, members, survey, wanted))
        except _Refused as error:
            if name not in broken:  # else the file that it lacks has been named
                refused.append(Rejection(str(folder / name), 0, "", str(error)))
    if not tiles:
        first = refused[0]
        raise InputError(
            f"none of the {len(refused)} tiles in {folder} can be used; {Path(first.file).name}: {first.reason}"
        )
    return tiles, refused


class _Refused(Exception):
    """Never leaves this module: a tile or a file that cannot be used, and why."""


@dataclass(frozen=True)
class _File:
    """What one file's headers say."""

    path: Path
    hdu: int
    header: fits.Header
    shape: tuple[int, ...]
    mask: int | None
    weight: int | None
    bands: str  # of a cube: its layers; of one band: its letter


def _wanted(bands: str | None) -> str | None:
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


def _read_all(paths: Sequence[Path], refused: list[Rejection]) -> tuple[dict[str, list[_File]], set[str]]:
    """Files by tile (a cube is one alone, others go by what stands before the band); tiles that lack a refused one."""
    tiles: dict[str, list[_File]] = {}
    broken = set()
    for path in paths:
        stem = re.sub(r"\.fits(\.fz)?$", "", path.name, flags=re.IGNORECASE)
        named = _BAND_FILE.fullmatch(stem)
        try:
            file = _read_headers(path, named["band"] if named else None)
            if len(file.shape) == 2 and named is None:
                raise _Refused(_UNNAMED)
        except _Refused as error:
            refused.append(Rejection(str(path), 0, "", str(error)))
            if named:
                broken.add(named["tile"])
            continue
        members = tiles.setdefault(named["tile"] if named and len(file.shape) == 2 else stem, [])
        # of g.fits and g.fits.fz the first in the alphabet: the uncompressed one, which is faster to read
        if all(member.bands != file.bands for member in members):
            members.append(file)
    return tiles, broken


_UNNAMED = "it is neither a cube nor named for its band; rename it to end in _g.fits, _r.fits ..."


def _read_headers(path: Path, band: str | None) -> _File:
    """The first image of a file, after making sure that the file is as long as its headers declare."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what astropy warns of is refused below, in one sentence
            with fits.open(path, memmap=False, disable_image_compression=True) as raw:
                _refuse_cut_short(path, raw)
            with fits.open(path, memmap=False) as file:
                images = [k for k, hdu in enumerate(file) if hdu.is_image and hdu.header.get("NAXIS", 0) >= 2]
                if not images:
                    raise _Refused("it holds no image")
                names = {hdu.name: k for k, hdu in enumerate(file)}
                hdu = file[images[0]]
                header, shape = hdu.header.copy(), tuple(hdu.shape)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise _Refused(f"it cannot be read as FITS ({str(error).splitlines()[0]}); fetch it again") from None
    if len(shape) > 3:
        raise _Refused(f"its image has {len(shape)} axes; a tile has two, a cube of bands three")
    letters = _cube_bands(header, shape[0]) if len(shape) == 3 else (band or "")
    return _File(path, images[0], header, shape, names.get("MSK"), names.get("WGT"), letters)


def _refuse_cut_short(path: Path, file: fits.HDUList) -> None:
    length = path.stat().st_size
    end = 0
    for hdu in file:
        info = hdu.fileinfo()
        declared = info["datLoc"] + hdu.size
        if declared > length:
            raise _Refused(f"it is cut short: {length:,} bytes where its header declares {declared:,}; fetch it again")
        end = info["datLoc"] + info["datSpan"]
    with open(path, "rb") as bytes_:
        bytes_.seek(min(end, length))
        if bytes_.read(8) == b"XTENSION":
            raise _Refused(f"it is cut short inside the header at byte {end:,}; fetch it again")


def _cube_bands(header: fits.Header, layers: int) -> str:
    """Band of each layer, by the card BANDS = 'grz' or BAND0, BAND1 ..."""
    listed = str(header.get("BANDS", "")).replace(",", "").replace(" ", "")
    letters = listed or "".join(str(header.get(f"BAND{k}", "?")).strip() for k in range(layers))
    if len(letters) != layers or "?" in letters:
        raise _Refused(
            f"it is a cube of {layers} layers whose header does not name each band; add the card BANDS = 'grz'"
        )
    return letters


def _tile(name: str, files: list[_File], survey: str, wanted: str | None) -> Tile:
    is_cube = len(files[0].shape) == 3
    present = files[0].bands if is_cube else "".join(sorted((f.bands for f in files), key=BANDS.find))
    bands = wanted or ("grz" if is_cube and "i" not in present else "gri")
    for band in bands:
        if band not in present:
            raise _Refused(
                f"band {band} is missing (it has {', '.join(present)}); fetch it, or choose others by --bands"
            )
    chosen = files * 3 if is_cube else [next(f for f in files if f.bands == band) for band in bands]
    wcs = _world(chosen[0])
    shape = (chosen[0].shape[-2], chosen[0].shape[-1])
    if not is_cube:
        for file in chosen[1:]:
            _refuse_other_grid(chosen[0], wcs, file)
    planes = tuple(
        Plane(str(file.path), file.hdu, present.index(band) if is_cube else None, file.mask, file.weight,
              _unit(file, survey, wcs))
        for file, band in zip(chosen, bands, strict=True)
    )  # fmt: skip
    return Tile(name, planes, bands, shape, wcs, is_cube)


def _world(file: _File) -> WCS:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # FITSFixedWarning: harmless spellings that wcslib mends
        try:
            wcs = WCS(file.header, naxis=2)
            usable = wcs.has_celestial and np.isfinite(_pixel_side(wcs)) and _pixel_side(wcs) > 0
        except Exception as error:  # wcslib raises a dozen classes of its own
            raise _Refused(f"the world coordinates of {file.path.name} are invalid ({error})") from None
    if not usable:
        raise _Refused(
            f"{file.path.name} has no world coordinates (CTYPE1, CRVAL1, CD1_1 ...); objects cannot be found"
        )
    return wcs


def _pixel_side(wcs: WCS) -> float:
    return float(np.sqrt(proj_plane_pixel_area(wcs))) * 3600


def _refuse_other_grid(first: _File, wcs: WCS, other: _File) -> None:
    if first.shape != other.shape:
        sizes = [" x ".join(str(side) for side in file.shape[::-1]) for file in (first, other)]
        raise _Refused(
            f"{first.path.name} has {sizes[0]} pixels and {other.path.name} {sizes[1]}; bands must lie alike"
        )
    rows, columns = first.shape
    x, y = np.array([0, columns, 0, columns, columns / 2]), np.array([0, 0, rows, rows, rows / 2])
    apart = wcs.pixel_to_world(x, y).separation(_world(other).pixel_to_world(x, y)).to_value(u.arcsec).max()
    if apart > _ALIGNED_PIXELS * _pixel_side(wcs):
        raise _Refused(f"{other.path.name} lies up to {apart:.1f} arcsec off {first.path.name}; bands must lie alike")


def _unit(file: _File, survey: str, wcs: WCS) -> float:
    """Nanomaggies a square arcsec in one count."""
    zero_point = file.header.get("MAGZERO", _ZERO_POINTS.get(survey))
    if not isinstance(zero_point, int | float):
        raise _Refused(
            f"{file.path.name} has no MAGZERO and '{survey}' no usual zero point; add the card MAGZERO (AB mag)"
        )
    side = _COUNTS_PER_ARCSEC.get(survey, _pixel_side(wcs))
    return float(10 ** (-0.4 * (zero_point - 22.5)) / side**2)
