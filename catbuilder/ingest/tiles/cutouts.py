"""Cut the stamps of many objects from one tile, strip by strip, in a worker process.

A row of a tile is contiguous in its file, and in a `.fits.fz` it is the usual unit of compression, so reading less
than whole rows saves nothing. Objects that are close in y therefore share one reading of their rows. At most one strip
of one plane is in memory (some 40 MB of a DES tile), never a whole plane. Workers do not open the catalogue.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from catbuilder.core.safe_text import last_line
from catbuilder.ingest.tiles.pixel_layers import PixelLayer, find_bad
from catbuilder.ingest.tiles.rendering import MARGIN, Bools, CutOut, RenderedStamp, mask_dead_lines, render
from catbuilder.ingest.tiles.tile_rows import PlainImage, RowReader

_STRIP_ROWS = 512  # objects whose centres lie within so many rows share a reading
_STRIP_PIXELS = 5_000_000  # of all sections of a strip together: 60 MB in three bands
_WIDEST_PIXEL = 8  # bytes
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
    is_float: bool = True  # as it is stored: in whole numbers zeros occur by chance
    plain: PlainImage | None = None  # where its pixels lie, if they are neither compressed nor scaled


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
    # The pixels of all sections one after another: most is then computed for all at once.
    ends = np.cumsum([section.side**2 for section in sections]).tolist()
    bands = np.empty((len(strip.planes), ends[-1]), np.float32)
    bad, scratch = np.zeros(ends[-1], bool), np.empty(ends[-1] * _WIDEST_PIXEL, np.uint8)
    with RowReader() as reader:
        for plane, band in zip(strip.planes, bands, strict=True):
            _read_plane(reader, plane, strip.shape, sections, band, bad, scratch)
    places = [(slice(end - one.side**2, end), one.side) for end, one in zip(ends, sections, strict=True)]
    cut_outs = [
        CutOut(bands[:, here].reshape(-1, side, side), bad[here].reshape(side, side), one.outside(strip.shape),
               one.x, one.y, width)
        for (here, side), one, width in zip(places, sections, strip.width, strict=True)
    ]  # fmt: skip
    stamps = render(cut_outs, strip.names, strip.size)
    if strip.mirrored:
        stamps = [replace(stamp, pixels=np.ascontiguousarray(stamp.pixels[:, ::-1])) for stamp in stamps]
    return stamps


def cut_strip_or_explain(strip: Strip) -> list[RenderedStamp] | str:
    """Render the stamps of a strip, or return what is wrong with a damaged file, so that other strips are still cut."""
    try:
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

    def outside(self, shape: tuple[int, int]) -> Bools | None:
        """Mark its pixels that lie beyond the tile, (side, side); None if there are none."""
        if (
            min(self.bottom, self.left) >= 0
            and self.bottom + self.side <= shape[0]
            and self.left + self.side <= shape[1]
        ):
            return None
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
    reader: RowReader, plane: Plane, shape: tuple[int, int], sections: Sequence[_TileSection],
    into: npt.NDArray[np.float32], bad: Bools, scratch: npt.NDArray[np.uint8],
) -> None:  # fmt: skip
    """Fill one band of every section, and mark the pixels that its mask or weight calls bad."""
    covered = [section.within(shape) for section in sections]
    rows = slice(min(r.start for r, _ in covered), max(r.stop for r, _ in covered))
    columns = slice(min(c.start for _, c in covered), max(c.stop for _, c in covered))
    parts = [
        (section.side, section.part(r, c), (_shifted(r, rows), _shifted(c, columns)))
        for section, (r, c) in zip(sections, covered, strict=True)
    ]
    pixels = _gathered(reader.read(plane.path, plane.hdu, plane.plain, plane.layer, rows, columns), parts, scratch)
    np.multiply(pixels, plane.unit, out=into, casting="same_kind")
    if plane.is_float and (pixels == 0).any():  # in whole numbers zeros occur by chance
        for square, marked, (_, there, _) in zip(_squares(pixels, parts), _squares(bad, parts), parts, strict=True):
            marked[there] |= mask_dead_lines(square[there])
    for mask in plane.masks:
        layer = plane.layer if mask.is_cube else None
        values = _gathered(reader.read(mask.path, mask.hdu, mask.plain, layer, rows, columns), parts, scratch)
        bad |= find_bad(mask.kind, mask.bits_of(plane.band), values)


_Parts = Sequence[tuple[int, tuple[slice, slice], tuple[slice, slice]]]  # side; where in the square; where in the rows


def _gathered(pixels: npt.NDArray[Any], parts: _Parts, scratch: npt.NDArray[np.uint8]) -> npt.NDArray[Any]:
    """The pixels of all sections one after another, in the machine's order of bytes; beyond the tile they are 0."""
    total = sum(side**2 for side, _, _ in parts)
    found = scratch[: total * pixels.itemsize].view(pixels.dtype.newbyteorder("="))
    for square, (side, there, here) in zip(_squares(found, parts), parts, strict=True):
        part = pixels[here]
        if part.shape != (side, side):
            square[:] = 0
        square[there] = part
    return found


def _squares(pixels: npt.NDArray[Any], parts: _Parts) -> Iterator[npt.NDArray[Any]]:
    """The sections in an array that has their pixels one after another, each (side, side)."""
    end = 0
    for side, _, _ in parts:
        first, end = end, end + side**2
        yield pixels[first:end].reshape(side, side)


def _shifted(part: slice, whole: slice) -> slice:
    """The part of the rows or columns that were read, counted from the first of them."""
    return slice(part.start - whole.start, part.stop - whole.start)
