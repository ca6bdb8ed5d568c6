"""Stream the first binary table of a FITS file as Arrow batches (FITS standard 4.0, section 7.3).

astropy reads the header and the column definitions. The rows are read here, some tens of thousands at a time, into one
buffer: astropy would map the whole file into memory, where every page read counts as memory used, and can load a
gzipped table only as a whole.
"""

import gzip
import warnings
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from astropy.io import fits

from catbuilder.catalogue.connection import Connection
from catbuilder.core.errors import InputError
from catbuilder.core.safe_text import in_one_line
from catbuilder.core.settings import Limits
from catbuilder.ingest.tables.fits_header import (
    MOST_HDUS,
    DamagedHeader,
    check_sizes,
    data_bytes,
    padded_size,
    read_header,
)
from catbuilder.ingest.tables.table_file import FileColumn, Progress, Scan, TableFile, damaged_table, sql_type

_CHUNK_BYTES = 16 << 20  # of rows read at once; larger chunks gain nothing
_MOST_COLUMNS = 999  # FITS standard 4.0, section 7.3.1
_GZIP = b"\x1f\x8b"


class FitsTable:
    """A binary table: its columns, and its rows in batches.

    Attributes
    ----------
    rows : rows that the header declares
    fields : Arrow field of each column; of type null if a cell is not a single value
    units : TUNIT of each column, "" if there is none
    delivered : rows that `batches` has given so far; fewer than `rows` at the end if the file was cut short
    broken_off : whether `batches` found that a gzipped file is cut short
    damaged : whether `batches` found a wrong checksum in a gzipped file

    Raises
    ------
    InputError
        It is not a FITS file, has no binary table, or its rows are too long.
    """

    def __init__(self, path: Path, limits: Limits) -> None:
        self.path = path
        self.delivered = 0
        self.broken_off = self.damaged = False
        header, columns, self._offset = _first_table(path)
        self.rows, self._row_bytes = int(header["NAXIS2"]), int(header["NAXIS1"])
        if self._row_bytes > limits.max_row_bytes:
            raise InputError(
                f"{path} has rows of {self._row_bytes:,} bytes, above the limit of {limits.max_row_bytes:,}; leave out "
                "its widest columns, or raise limits.max_row_bytes in catbuilder.toml"
            )
        try:
            self._dtype = columns.dtype.newbyteorder(">")
        except (ValueError, TypeError, KeyError) as error:
            raise InputError(f"{path} has a damaged column ({in_one_line(error)}); fetch or write it again") from None
        if self._dtype.itemsize != self._row_bytes or header.get("ZTABLE"):
            raise InputError(f"{path} holds a compressed or damaged table; unpack it (funpack) or write it again")
        self._columns = {column.name: column for column in columns}
        self.fields = [pa.field(name, _arrow_type(column, self._dtype[name])) for name, column in self._columns.items()]
        self.units = [str(column.unit or "") for column in columns]

    def batches(self, names: Sequence[str], progress: Callable[[int, int], None]) -> Iterator[pa.RecordBatch]:
        """Read the columns `names` of all rows, in order; stop early if the file is cut short.

        A gzipped file is read to its end, where its checksum is: a flipped bit would invent objects.
        """
        schema = pa.schema([field for field in self.fields if field.name in names])
        rows_at_once = max(1, _CHUNK_BYTES // max(1, self._row_bytes))
        with _opened(self.path) as file:
            file.seek(self._offset)
            while self.delivered < self.rows:
                wanted = min(rows_at_once, self.rows - self.delivered)
                data = self._read(file, wanted * self._row_bytes)
                chunk = np.frombuffer(data, self._dtype, count=len(data) // self._row_bytes)
                if len(chunk):
                    arrays = [_to_arrow(self._columns[field.name], chunk[field.name], field.type) for field in schema]
                    yield pa.record_batch(arrays, schema=schema)
                self.delivered += len(chunk)
                progress(self.delivered, self.rows)
                if len(chunk) < wanted:
                    return
            while isinstance(file, gzip.GzipFile) and self._read(file, _CHUNK_BYTES):
                pass

    def _read(self, file: BufferedReader | gzip.GzipFile, count: int) -> bytes:
        """Up to `count` bytes; fewer at the end of the file, or if a gzipped one is cut short or damaged."""
        parts = []
        try:
            while count and (part := file.read1(count)):
                parts.append(part)
                count -= len(part)
        except EOFError:
            self.broken_off = True
        except (gzip.BadGzipFile, zlib.error):
            self.damaged = True
        return parts[0] if len(parts) == 1 else b"".join(parts)


def _first_table(path: Path) -> tuple[fits.Header, fits.ColDefs, int]:
    """Header, columns and data offset of the first binary table; its rows are not read.

    The headers are read one by one, since `fits.open` skips a table that is cut short inside a gzipped file.
    """
    try:
        with _opened(path) as file:
            header = read_header(file)
            if "SIMPLE" not in header:
                raise DamagedHeader("it does not begin with SIMPLE")
            for _ in range(MOST_HDUS):
                check_sizes(header)
                if str(header.get("XTENSION", "")).strip() == "BINTABLE" and not header.get("ZIMAGE"):
                    return header, _columns(header), file.tell()
                file.seek(file.tell() + padded_size(data_bytes(header)))
                header = read_header(file)
            raise DamagedHeader(f"there is no table among its first {MOST_HDUS:,} headers")
    except EOFError:
        raise InputError(
            f"{path} holds no binary table; give a FITS file with the catalogue in a BINTABLE extension"
        ) from None
    # A damaged header makes astropy raise errors of many kinds: OSError, ValueError, AttributeError, IndexError ...
    except Exception as error:
        reason = in_one_line(error) or type(error).__name__
        raise InputError(f"{path} cannot be read as FITS ({reason}); fetch or write it again") from None


def _columns(header: fits.Header) -> fits.ColDefs:
    if header["NAXIS"] != 2:
        raise DamagedHeader(f"its header is damaged (NAXIS of the table is {header['NAXIS']})")
    fields = header.get("TFIELDS")
    if not isinstance(fields, int) or not 0 <= fields <= _MOST_COLUMNS:
        raise DamagedHeader(f"its header is damaged (TFIELDS is {in_one_line(repr(fields), 40)})")
    for k in range(1, fields + 1):  # the standard allows columns without a name, astropy does not
        if not str(header.get(f"TTYPE{k}", "")).strip():
            header[f"TTYPE{k}"] = f"column {k}"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about headers that deviate from the standard
        return fits.BinTableHDU.fromstring(header.tostring().encode()).columns


def _opened(path: Path) -> BufferedReader | gzip.GzipFile:
    with open(path, "rb") as file:
        packed = file.read(2) == _GZIP
    return gzip.GzipFile(path) if packed else open(path, "rb")


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


def _to_arrow(column: fits.Column, raw: npt.NDArray[Any], kind: pa.DataType) -> pa.Array:
    code = column.format.format
    if code == "A":
        return _texts(raw)
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


def _texts(raw: npt.NDArray[Any]) -> pa.Array:
    """Fixed-width texts without a Python string for each; bytes after a zero byte are blanks (section 7.3.3.1)."""
    rows, width = len(raw), raw.dtype.itemsize
    if width == 0:
        return pa.nulls(rows, pa.string())
    letters = np.ascontiguousarray(raw).view(np.uint8).reshape(rows, width)
    ended = letters == 0
    if ended.any():
        letters = np.where(np.logical_or.accumulate(ended, axis=1), ord(" "), letters)
    if (letters > 127).any():  # the standard allows ASCII alone, and Arrow's texts must be UTF-8
        letters = np.where(letters > 127, ord("?"), letters)
    fixed = pa.FixedSizeBinaryArray.from_buffers(pa.binary(width), rows, [None, pa.py_buffer(letters.tobytes())])
    return fixed.cast(pa.binary()).cast(pa.string())


class FitsFile(TableFile):
    """The first binary table of a FITS file, as a table that DuckDB can read."""

    def __init__(self, path: Path, limits: Limits) -> None:
        self._table = FitsTable(path, limits)
        columns = [
            FileColumn(field.name, sql_type(field.type), unit)
            for field, unit in zip(self._table.fields, self._table.units, strict=True)
        ]
        super().__init__(path, columns, limits)

    @contextmanager
    def scan(self, con: Connection, names: Sequence[str], progress: Progress) -> Iterator[Scan]:
        """Read the rows as a stream that can be read once."""
        table = self._table
        schema = pa.schema([field for field in table.fields if field.name in names])
        con.register("file_stream", pa.RecordBatchReader.from_batches(schema, table.batches(names, progress)))
        try:
            yield Scan("file_stream", {})
        finally:
            con.unregister("file_stream")
        if table.damaged:
            raise damaged_table(self.path)
        if table.delivered < table.rows:
            raise InputError(
                f"{self.path} declares {table.rows:,} rows and holds {table.delivered:,}: it was cut short; "
                "fetch it again"
            )
        if table.broken_off:
            raise InputError(f"{self.path} lacks the end of its gzip stream: it was cut short; fetch it again")
