"""Read rows of the images of a tile, straight from the file where pixels are stored as they are.

Workers read most of a tile, and astropy would convert, copy and count headers anew for each strip; to import it takes a
worker longer than to cut a hundred stamps. So only compressed and scaled images are read by it.
"""

from __future__ import annotations

import mmap
import os
import warnings
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from astropy.io import fits

_TYPES = {8: "u1", 16: ">i2", 32: ">i4", 64: ">i8", -32: ">f4", -64: ">f8"}


@dataclass(frozen=True)
class PlainImage:
    """Where an image lies in its file, if its pixels are neither compressed nor scaled."""

    offset: int  # bytes
    dtype: str
    shape: tuple[int, ...]


def find_plain_image(hdu: fits.ImageHDU) -> PlainImage | None:
    """Tell where the pixels of an image are, or None if only astropy should read them."""
    header = hdu.header
    scaled = header.get("BSCALE", 1) != 1 or header.get("BZERO", 0) != 0
    if "ZIMAGE" in header or not hdu.is_image or type(hdu).__name__ == "CompImageHDU" or scaled or "BLANK" in header:
        return None
    place = hdu.fileinfo()
    return place and PlainImage(place["datLoc"], _TYPES[header["BITPIX"]], tuple(hdu.shape))


class RowReader:
    """Reads rows of images; files that astropy reads stay open until the end."""

    def __init__(self) -> None:
        self._files = ExitStack()
        self._open: dict[str, Any] = {}

    def __enter__(self) -> RowReader:
        return self

    def __exit__(self, *_: object) -> None:
        self._files.close()

    def read(
        self, path: str, hdu: int, plain: PlainImage | None, layer: int | None, rows: slice, columns: slice
    ) -> npt.NDArray[Any]:
        """Read part of an image, or of one layer of a cube.

        Raises
        ------
        OSError
            The file is shorter than when its headers were read, or damaged; compressed ones raise other errors too.
        """
        if plain is None:
            return self._by_astropy(path, hdu, layer, rows, columns)
        return _mapped(path, plain, rows.start + (layer or 0) * plain.shape[-2], rows.stop - rows.start)[:, columns]

    def _by_astropy(self, path: str, hdu: int, layer: int | None, rows: slice, columns: slice) -> npt.NDArray[Any]:
        from astropy.io import fits

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about headers, which `tile_file` has read and told of
            if path not in self._open:
                # Without a memory map of the whole file, whose pages would count as memory used.
                self._open[path] = self._files.enter_context(fits.open(path, memmap=False))
            section = self._open[path][hdu].section
            return np.asarray(section[rows, columns] if layer is None else section[layer, rows, columns])


def _mapped(path: str, plain: PlainImage, first: int, rows: int) -> npt.NDArray[Any]:
    """Rows of an image that is stored as it is, (rows, width).

    They are mapped, which takes a third of the time of copying; the map ends with the array.
    """
    dtype, width = np.dtype(plain.dtype), plain.shape[-1]
    begin, length = plain.offset + first * width * dtype.itemsize, rows * width * dtype.itemsize
    skipped = begin % mmap.ALLOCATIONGRANULARITY
    with open(path, "rb") as file:
        if os.fstat(file.fileno()).st_size < begin + length:  # a map beyond the end would kill the process
            raise OSError("it is shorter than when its header was read")
        whole = mmap.mmap(
            file.fileno(), skipped + length, flags=mmap.MAP_SHARED | getattr(mmap, "MAP_POPULATE", 0),
            prot=mmap.PROT_READ, offset=begin - skipped,
        )  # fmt: skip
    return np.frombuffer(whole, dtype, rows * width, skipped).reshape(rows, width)
