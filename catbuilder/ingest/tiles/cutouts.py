"""Cut the stamps of many objects from one tile, strip by strip, in a worker process.

A row of a tile is contiguous in its file, and in a `.fits.fz` it is the usual unit of compression, so reading less
than whole rows saves nothing. Objects that are close in y therefore share one reading of their rows. At most one strip
of one plane is in memory (some 40 MB of a DES tile), never a whole plane. Workers do not open the catalogue.
"""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from astropy.io import fits

from catbuilder.ingest.tiles.pixel_layers import PixelLayer, find_bad
from catbuilder.ingest.tiles.rendering import MARGIN, Bools, Floats, RenderedStamp, mask_dead_lines, render
from catbuilder.ingest.tiles.tile_file import last_line

_STRIP_ROWS = 512  # objects whose centres lie within so many rows share a reading
_STRIP_PIXELS = 5_000_000  # of all sections of a strip together: 60 MB in three bands
_LANCZOS_REACH = 8  # px beyond the box at least


@dataclass(frozen=True)
class Plane:
    """One band of a tile: where its pixels are in a file, and its masks and weights."""

    path: str
    hdu: int
    layer: int | None  # of a cube
    band: str
    masks: tuple[PixelLayer, ...]  # and weights
    unit: float  # nanomaggies per square arcsec in one count


@dataclass(frozen=True)
class Strip:
    """Objects that are cut from one tile together; the centre of the first pixel is 0."""

    planes: tuple[Plane, ...]  # blue to red
    names: str  # their bands
    shape: tuple[int, int]  # of the tile: rows, columns
    x: tuple[float, ...]
    y: tuple[float, ...]
    width: tuple[float, ...]  # of the boxes, px
    size: int  # of the stamps, px
    mirrored: bool  # the tile is mirrored: its stamps are flipped, as the sky is seen


def group_into_strips(y: npt.NDArray[np.float64], width: npt.NDArray[np.float64]) -> Iterator[npt.NDArray[np.int64]]:
    """Group objects into strips from the lowest y to the highest, and yield the indices of each."""
    order = np.argsort(y, kind="stable")
    first, pixels = 0, 0.0
    for k, index in enumerate(order):
        area = float(section_side(width[index])) ** 2
        if k > first and (y[index] - y[order[first]] > _STRIP_ROWS or pixels + area > _STRIP_PIXELS):
            yield order[first:k]
            first, pixels = k, 0.0
        pixels += area
    if len(order):
        yield order[first:]


def cut_strip(strip: Strip) -> list[RenderedStamp]:
    """Read one strip, band after band, and render the stamps of its objects."""
    sections = [_TileSection.around(x, y, width) for x, y, width in zip(strip.x, strip.y, strip.width, strict=True)]
    bands = [np.zeros((len(strip.planes), s.side, s.side), np.float32) for s in sections]
    bad = [np.zeros((s.side, s.side), bool) for s in sections]
    for number, plane in enumerate(strip.planes):
        _read_plane(plane, strip.shape, sections, [band[number] for band in bands], bad)
    stamps = [
        render(bands[k], bad[k], s.outside(strip.shape), strip.names, s.x, s.y, strip.width[k], strip.size)
        for k, s in enumerate(sections)
    ]
    if strip.mirrored:
        stamps = [replace(stamp, pixels=np.ascontiguousarray(stamp.pixels[:, ::-1])) for stamp in stamps]
    return stamps


def cut_strip_or_explain(strip: Strip) -> list[RenderedStamp] | str:
    """Render the stamps of a strip, or return what is wrong with a damaged file, so that other strips are still cut."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about headers, which `tile_file` has read and told of
            return cut_strip(strip)
    # Damaged compressed data raise OSError, ValueError, zlib.error and more.
    except Exception as error:
        return last_line(error)


def section_side(width: float) -> int:
    """Compute the side of the square that is read for a box, px."""
    return int(np.ceil(width + 2 * max(MARGIN * width, _LANCZOS_REACH))) + 1


@dataclass(frozen=True)
class _TileSection:
    """The square of a tile that is read for one object; it may reach beyond the tile."""

    left: int
    bottom: int
    side: int
    x: float  # of the object, from the square's first pixel
    y: float

    @classmethod
    def around(cls, x: float, y: float, width: float) -> "_TileSection":
        side = section_side(width)
        left, bottom = round(x - (side - 1) / 2), round(y - (side - 1) / 2)
        return cls(left, bottom, side, x - left, y - bottom)

    def outside(self, shape: tuple[int, int]) -> Bools:
        """Mark its pixels that lie beyond the tile, (side, side)."""
        rows, columns = self.bottom + np.arange(self.side), self.left + np.arange(self.side)
        return ((rows < 0) | (rows >= shape[0]))[:, None] | ((columns < 0) | (columns >= shape[1]))[None, :]

    def within(self, shape: tuple[int, int]) -> tuple[slice, slice]:
        """Rows and columns of the tile that it covers."""
        return (
            slice(max(self.bottom, 0), max(min(self.bottom + self.side, shape[0]), 0)),
            slice(max(self.left, 0), max(min(self.left + self.side, shape[1]), 0)),
        )

    def part(self, rows: slice, columns: slice) -> tuple[slice, slice]:
        """Where rows and columns of the tile are in the square."""
        return (
            slice(rows.start - self.bottom, rows.stop - self.bottom),
            slice(columns.start - self.left, columns.stop - self.left),
        )


def _read_plane(
    plane: Plane, shape: tuple[int, int], sections: Sequence[_TileSection], into: Sequence[Floats], bad: Sequence[Bools]
) -> None:
    """Fill one band of every section, and mark the pixels that its mask or weight calls bad."""
    covered = [section.within(shape) for section in sections]
    rows = slice(min(r.start for r, _ in covered), max(r.stop for r, _ in covered))
    columns = slice(min(c.start for _, c in covered), max(c.stop for _, c in covered))
    with ExitStack() as stack:
        # Without a memory map, whose pages would count as memory used, up to the whole file.
        files = {
            path: stack.enter_context(fits.open(path, memmap=False))
            for path in {plane.path, *(mask.path for mask in plane.masks)}
        }
        image = files[plane.path][plane.hdu]
        floats = image.header["BITPIX"] < 0  # in whole numbers zeros occur by chance
        pixels = _rows(image, plane.layer, rows, columns)
        for section, (r, c), band, wrong in zip(sections, covered, into, bad, strict=True):
            here = pixels[_shifted(r, rows), _shifted(c, columns)]
            there = section.part(r, c)
            np.multiply(here, plane.unit, out=band[there], casting="same_kind")
            if floats:
                wrong[there] |= mask_dead_lines(here)
        for mask in plane.masks:
            pixels = _rows(files[mask.path][mask.hdu], plane.layer if mask.is_cube else None, rows, columns)
            bits = mask.bits_of(plane.band)
            for section, (r, c), wrong in zip(sections, covered, bad, strict=True):
                wrong[section.part(r, c)] |= find_bad(mask.kind, bits, pixels[_shifted(r, rows), _shifted(c, columns)])


def _shifted(part: slice, whole: slice) -> slice:
    """The part of the rows or columns that were read, counted from the first of them."""
    return slice(part.start - whole.start, part.stop - whole.start)


def _rows(hdu: fits.ImageHDU, layer: int | None, rows: slice, columns: slice) -> npt.NDArray[Any]:
    """Part of an image; of an uncompressed one, whole rows are read at once."""
    if isinstance(hdu, fits.CompImageHDU):
        return np.asarray(hdu.section[rows, columns] if layer is None else hdu.section[layer, rows, columns])
    pixels = hdu.section[rows, :] if layer is None else hdu.section[layer, rows, :]
    return np.asarray(pixels)[:, columns]
