"""Cut the stamps of many objects from tiles, strip by strip, and store them in a shard, in a worker process.

A row of a tile is contiguous in its file, and in a `.fits.fz` it is the usual unit of compression, so reading less
than whole rows saves nothing. Objects that are close in y therefore share one reading of their rows. At most one strip
of one plane is in memory (some 40 MB of a DES tile), never a whole plane. Workers do not open the catalogue.
"""

import hashlib
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from catbuilder.core.safe_text import last_line
from catbuilder.core.stamps import shard_name
from catbuilder.core.tasks import Place
from catbuilder.ingest.tiles.pixel_layers import PixelLayer, find_bad
from catbuilder.ingest.tiles.rendering import (
    MARGIN,
    MISSING_PIXEL_FLAGS,
    Bools,
    CutOut,
    RenderedStamp,
    mask_dead_lines,
    render,
)
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
    origin: str = ""  # what the catalogue calls the file, if not by its path: it was fetched, or unpacked


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
    places: tuple[tuple[tuple[float, float], ...], ...] = ()  # x, y of the objects in each plane, if planes are shifted


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
    sections = _sections(strip, zip(strip.x, strip.y, strict=True))
    shifted = [_sections(strip, places) for places in strip.places]
    # The pixels of all sections one after another: most is then computed for all at once.
    ends = np.cumsum([section.side**2 for section in sections]).tolist()
    bands = np.empty((len(strip.planes), ends[-1]), np.float32)
    bad, scratch = np.zeros(ends[-1], bool), np.empty(ends[-1] * _WIDEST_PIXEL, np.uint8)
    with RowReader() as reader:
        for plane, band, own in zip(strip.planes, bands, shifted or [sections] * len(bands), strict=True):
            _read_plane(reader, plane, strip.shape, own, band, bad, scratch)
    places = [(slice(end - one.side**2, end), one.side) for end, one in zip(ends, sections, strict=True)]
    cut_outs = [
        CutOut(bands[:, here].reshape(-1, side, side), bad[here].reshape(side, side), one.outside(strip.shape),
               one.x, one.y, width)
        for (here, side), one, width in zip(places, sections, strip.width, strict=True)
    ]  # fmt: skip
    if shifted:
        cut_outs = [
            replace(one, outside=_all_outside(strip.shape, own), centres=tuple((each.x, each.y) for each in own))
            for one, own in zip(cut_outs, zip(*shifted, strict=True), strict=True)
        ]
    stamps = render(cut_outs, strip.names, strip.size)
    if strip.mirrored:
        stamps = [replace(stamp, pixels=np.ascontiguousarray(stamp.pixels[:, ::-1])) for stamp in stamps]
    return stamps


@dataclass(frozen=True)
class Share:
    """Objects that one process cuts and stores in one shard.

    Attributes
    ----------
    held : for each object of each strip, whether a stamp that lacks pixels is given back, as another tile may have them
    workspace : folder below which the shard is written
    """

    strips: tuple[Strip, ...]
    held: tuple[tuple[bool, ...], ...]
    workspace: Path
    survey: str

    def files(self) -> list[str]:
        """List the files that are read."""
        planes = [plane for strip in self.strips for plane in strip.planes]
        return list(dict.fromkeys(path for p in planes for path in (p.path, *(mask.path for mask in p.masks))))


@dataclass(frozen=True)
class StoredStamp:
    """What is recorded of a stamp, with its row in the shard, or its pixels if it is held."""

    flags: tuple[str, ...]
    reason: str | None
    sha256: str
    row: int | None
    pixels: npt.NDArray[np.uint8] | None = None

    @classmethod
    def of(cls, stamp: RenderedStamp, row: int | None) -> "StoredStamp":
        """Describe a stamp; its SHA-256 is that of its pixels."""
        sha256 = hashlib.sha256(stamp.pixels.tobytes()).hexdigest()
        return cls(stamp.flags, stamp.reason, sha256, row, stamp.pixels if row is None else None)


@dataclass(frozen=True)
class CutShare:
    """The stamps of a share, strip by strip, or why a strip could not be cut; and the shard, if there is one."""

    strips: list[list[StoredStamp] | str]
    shard: str
    sha256: str
    stamps: int


def cut_share(share: Share, place: Place) -> CutShare:
    """Cut the stamps of a share and write the shard, under a name that says its content.

    A damaged file costs the objects of its own strip.
    """
    kept: list[npt.NDArray[np.uint8]] = []
    strips: list[list[StoredStamp] | str] = []
    for strip, held in zip(share.strips, share.held, strict=True):
        stored: list[StoredStamp] = []
        try:
            stamps = cut_strip(_found(strip, place))
        except Exception as error:  # damaged compressed data raise OSError, ValueError, zlib.error and more
            strips.append(last_line(error))
            continue
        for stamp, hold in zip(stamps, held, strict=True):
            if hold and MISSING_PIXEL_FLAGS.intersection(stamp.flags):
                stored.append(StoredStamp.of(stamp, None))
            else:
                stored.append(StoredStamp.of(stamp, len(kept)))
                kept.append(stamp.pixels)
        strips.append(stored)
    if not kept:
        return CutShare(strips, "", "", 0)
    pixels, content = np.stack(kept), io.BytesIO()
    np.save(content, pixels)
    shard = shard_name(share.survey, pixels)
    place.write(share.workspace / shard, content.getvalue())
    return CutShare(strips, shard, hashlib.sha256(content.getbuffer()).hexdigest(), len(kept))


def _found(strip: Strip, place: Place) -> Strip:
    """The strip with the paths of its files as they are here."""
    planes = (
        replace(
            plane,
            path=place.find(plane.path),
            masks=tuple(replace(mask, path=place.find(mask.path)) for mask in plane.masks),
        )
        for plane in strip.planes
    )
    return replace(strip, planes=tuple(planes))


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


def _sections(strip: Strip, places: Iterable[tuple[float, float]]) -> list[_TileSection]:
    return [_TileSection.around(x, y, width) for (x, y), width in zip(places, strip.width, strict=True)]


def _all_outside(shape: tuple[int, int], sections: Iterable[_TileSection]) -> Bools | None:
    """Mark the pixels that lie beyond the tile in any band."""
    found = [outside for one in sections if (outside := one.outside(shape)) is not None]
    return np.logical_or.reduce(found) if found else None


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
