"""Convert the cells of FITS tables: binary tables (FITS standard 4.0, section 7.3) and ASCII tables (section 7.2).

astropy reads the definitions of binary columns. ASCII tables, which VizieR gives where it is asked for them, have cells
of text; these are passed on as text.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from astropy.io import fits

from catbuilder.core.library_warnings import collect_warnings
from catbuilder.core.safe_text import in_one_line
from catbuilder.ingest.tables.fits_header import DamagedHeader, ReadHeader, decode_text

_MOST_COLUMNS = 999  # FITS standard 4.0, section 7.3.1
_ASCII_FORMAT = re.compile(r"([AIFED])(\d{1,9})(?:\.\d{1,3})?")
# How a value is displayed does not change it.
_HARMLESS = (r"\(TDISPn\)", r"\(TBCOLn\)")


@dataclass(frozen=True)
class FitsColumn:
    """A column of a FITS table.

    Attributes
    ----------
    dtype : of the cells in the file
    kind : Arrow type of the cells after scaling; null if a cell is not a single value
    convert : converts cells of `dtype` to `kind`
    encodings : how texts with letters beyond ASCII were decoded, once there were any
    """

    name: str
    unit: str
    dtype: np.dtype[Any]
    kind: pa.DataType
    convert: Callable[[npt.NDArray[Any], set[str]], pa.Array]
    encodings: set[str] = field(default_factory=set)

    def to_arrow(self, raw: npt.NDArray[Any]) -> pa.Array:
        """Convert the cells of some rows."""
        return self.convert(raw, self.encodings)


def column_names(read: ReadHeader) -> list[str]:
    """List the names of a table's columns; the standard allows columns without one.

    Raises
    ------
    DamagedHeader
        The number of columns is not a count.
    """
    fields = read.header.get("TFIELDS")
    if not isinstance(fields, int) or not 0 <= fields <= _MOST_COLUMNS:
        raise DamagedHeader(f"its header is damaged (TFIELDS is {in_one_line(repr(fields), 40)})")
    return [read.text(f"TTYPE{k}") or f"column {k}" for k in range(1, fields + 1)]


def binary_columns(read: ReadHeader, notes: list[str]) -> tuple[list[FitsColumn], np.dtype[Any]]:
    """Read the columns of a binary table, and the type of a row; `notes` gets the warnings that matter."""
    names = column_names(read)
    header = read.header.copy()
    for k in range(1, len(names) + 1):  # astropy wants names, in ASCII, each once
        header[f"TTYPE{k}"] = f"C{k}"
    with collect_warnings(_HARMLESS) as told:
        columns = fits.BinTableHDU.fromstring(header.tostring().encode("ascii", "replace")).columns
        dtype = columns.dtype.newbyteorder(">")
    notes += told
    found = []
    for k, (name, column) in enumerate(zip(names, columns, strict=True), 1):
        kind = _arrow_type(column, dtype[f"C{k}"])
        found.append(FitsColumn(name, read.text(f"TUNIT{k}"), dtype[f"C{k}"], kind, partial(_cells, column, kind)))
    return found, dtype


def ascii_columns(read: ReadHeader) -> tuple[list[FitsColumn], np.dtype[Any]]:
    """Read the columns of an ASCII table, and the type of a row."""
    names, header = column_names(read), read.header
    row_bytes = int(header["NAXIS1"])
    columns, starts = [], []
    for k, name in enumerate(names, 1):
        start, form = header.get(f"TBCOL{k}"), _ASCII_FORMAT.fullmatch(read.text(f"TFORM{k}").upper())
        if not isinstance(start, int) or form is None or not 1 <= start <= row_bytes - int(form[2]) + 1:
            raise DamagedHeader(f"its header is damaged (TBCOL{k} or TFORM{k} of the column {in_one_line(name, 60)})")
        if (header.get(f"TSCAL{k}", 1), header.get(f"TZERO{k}", 0)) != (1, 0):
            raise DamagedHeader(f"column {in_one_line(name, 60)} of its ASCII table is scaled, which is not read")
        starts.append(start - 1)
        convert = partial(_ascii_cells, read.text(f"TNULL{k}"), form[1] in "FED")
        columns.append(FitsColumn(name, read.text(f"TUNIT{k}"), np.dtype(f"S{form[2]}"), pa.string(), convert))
    fields = [f"C{k}" for k in range(1, len(names) + 1)]
    formats = [column.dtype for column in columns]
    return columns, np.dtype({"names": fields, "formats": formats, "offsets": starts, "itemsize": row_bytes})


def _ascii_cells(null: str, real: bool, raw: npt.NDArray[Any], found: set[str]) -> pa.Array:
    """Cells of an ASCII table as text: NULL where blank or the column's null, 1.5D3 as 1.5E3."""
    texts = pc.utf8_trim_whitespace(_texts(raw, found))
    texts = pc.if_else(pc.is_in(texts, pa.array(["", null])), pa.scalar(None, pa.string()), texts)
    return pc.replace_substring_regex(texts, "[Dd]", "E") if real else texts


def _arrow_type(column: fits.Column, dtype: np.dtype[Any]) -> pa.DataType:
    """The narrowest type that holds a cell after scaling."""
    code = column.format.format
    if dtype.shape or code in "XPQCM":
        return pa.null()
    if code == "A":
        return pa.string()
    if code == "L":
        return pa.bool_()
    native = dtype.newbyteorder("=")
    if not _is_scaled(column):
        return pa.from_numpy_dtype(native)
    if native.kind in "iu" and _is_offset(column, native):
        return pa.from_numpy_dtype(np.dtype(f"{'i' if native.kind == 'u' else 'u'}{native.itemsize}"))
    return pa.float64()


def _is_scaled(column: fits.Column) -> bool:
    return column.bscale not in (None, "", 1) or column.bzero not in (None, "", 0)


def _is_offset(column: fits.Column, native: np.dtype[Any]) -> bool:
    """Whether TZERO only turns signed integers into unsigned ones, or unsigned bytes into signed ones."""
    middle = -128 if native.kind == "u" else 2 ** (8 * native.itemsize - 1)
    return column.bscale in (None, "", 1) and column.bzero == middle and (native.kind == "i" or native.itemsize == 1)


def _cells(column: fits.Column, kind: pa.DataType, raw: npt.NDArray[Any], found: set[str]) -> pa.Array:
    code = column.format.format
    if code == "A":
        return _texts(raw, found)
    if code == "L":
        letters = raw.view(np.uint8)
        return pa.array(letters == ord("T"), mask=~np.isin(letters, np.frombuffer(b"TF", np.uint8)))
    values = raw.astype(raw.dtype.newbyteorder("="))
    missing = values == column.null if column.null not in (None, "") and values.dtype.kind in "iu" else None
    if _is_scaled(column):
        if pa.types.is_integer(kind):
            target = kind.to_pandas_dtype()
            # adding the offset flips the highest bit; as floats, values beyond 2^53 would be rounded
            values = (values.view(f"u{raw.dtype.itemsize}") ^ (1 << (8 * raw.dtype.itemsize - 1))).view(target)
        else:
            scale = 1.0 if column.bscale in (None, "") else float(column.bscale)
            values = values * scale + (0.0 if column.bzero in (None, "") else float(column.bzero))
    return pa.array(values, kind, mask=missing)


def _texts(raw: npt.NDArray[Any], found: set[str]) -> pa.Array:
    """Fixed-width texts without a Python string for each; bytes after a zero byte are blanks (section 7.3.3.1)."""
    rows, width = len(raw), raw.dtype.itemsize
    if width == 0:
        return pa.nulls(rows, pa.string())
    letters = np.ascontiguousarray(raw).view(np.uint8).reshape(rows, width)
    ended = letters == 0
    if ended.any():
        letters = np.where(np.logical_or.accumulate(ended, axis=1), ord(" "), letters)
    fixed = pa.FixedSizeBinaryArray.from_buffers(pa.binary(width), rows, [None, pa.py_buffer(letters.tobytes())])
    if not (letters > 127).any():
        return fixed.cast(pa.binary()).cast(pa.string())
    # the standard allows ASCII alone; Arrow's texts must be UTF-8
    decoded = [decode_text(text) for text in fixed.to_pylist()]
    found.update(encoding for text, encoding in decoded if not text.isascii())
    return pa.array([text for text, _ in decoded], pa.string())
