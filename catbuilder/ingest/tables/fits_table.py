"""Stream a table of a FITS file as Arrow batches (FITS standard 4.0, section 7).

astropy reads the header and the column definitions. The rows are read here, some tens of thousands at a time, into one
buffer: astropy would map the whole file into memory, where every page read counts as memory used, and can load a
gzipped table only as a whole.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path

import numpy as np
import pyarrow as pa

from catbuilder.catalogue.connection import Connection
from catbuilder.core.errors import InputError
from catbuilder.core.safe_text import in_one_line, is_number
from catbuilder.core.settings import Limits
from catbuilder.ingest.tables.astropy_metadata import AstropyMetadata, lines_in_comments, read_astropy_yaml
from catbuilder.ingest.tables.fits_columns import ascii_columns, binary_columns, column_names
from catbuilder.ingest.tables.fits_header import (
    MOST_HDUS,
    DamagedHeader,
    ReadHeader,
    check_sizes,
    data_bytes,
    padded_size,
    read_whole_header,
)
from catbuilder.ingest.tables.packed_file import UNPACKING_ERRORS, Unpacked, open_unpacked
from catbuilder.ingest.tables.table_file import (
    ANY_TABLE,
    FileColumn,
    Progress,
    Scan,
    TableChoice,
    TableFile,
    choose_table,
    damaged_table,
    sql_type,
)

_CHUNK_BYTES = 16 << 20  # of rows read at once; larger chunks gain nothing
_JULIAN_EQUINOXES = 1984  # FITS standard 4.0, section 8.3: without RADESYS, an earlier equinox means FK4


class FitsTable:
    """A binary or ASCII table: its columns, and its rows in batches.

    Attributes
    ----------
    rows : rows that the header declares
    columns : its columns
    is_ascii : whether its cells are text
    frame : coordinate frame that the header states
    left_by_astropy : units that FITS does not know, and the frames of coordinates, if astropy wrote the file
    notes : what astropy warned of
    delivered : rows that `batches` has given so far; fewer than `rows` at the end if the file was cut short
    broken_off : whether `batches` found that a compressed file is cut short
    damaged : whether `batches` found a wrong checksum in a compressed file

    Raises
    ------
    InputError
        It is not a FITS file, has no table or not the one that is meant, or its rows are too long.
    """

    def __init__(self, path: Path, limits: Limits, choice: TableChoice = ANY_TABLE) -> None:
        self.path = path
        self.delivered = 0
        self.broken_off = self.damaged = False
        tables = _tables(path)
        found = tables[choose_table(path, [(one.number, one.name, one.columns) for one in tables], choice)]
        header = found.read.header
        self._offset, self.is_ascii, self.frame = found.offset, found.is_ascii, _frame(found.read)
        self.left_by_astropy = _left_by_astropy(path, found.read)
        self.rows, self._row_bytes = int(header["NAXIS2"]), int(header["NAXIS1"])
        if self._row_bytes > limits.max_row_bytes:
            raise InputError(
                f"{path} has rows of {self._row_bytes:,} bytes, above the limit of {limits.max_row_bytes:,}; leave out "
                "its widest columns, or raise limits.max_row_bytes in catbuilder.toml"
            )
        self.notes = list(found.read.notes)
        try:
            self.columns, self._dtype = (
                ascii_columns(found.read) if found.is_ascii else binary_columns(found.read, self.notes)
            )
        # A damaged header makes astropy raise errors of many kinds: ValueError, AttributeError, IndexError ...
        except Exception as error:
            reason = in_one_line(error) or type(error).__name__
            raise InputError(f"{path} has a damaged column ({reason}); fetch or write it again") from None
        if self._dtype.itemsize != self._row_bytes or header.get("ZTABLE"):
            raise InputError(f"{path} holds a compressed or damaged table; unpack it (funpack) or write it again")

    def schema(self, names: Sequence[str]) -> pa.Schema:
        """Arrow schema of the columns `names`, in the file's order."""
        return pa.schema([(column.name, column.kind) for column in self.columns if column.name in names])

    def batches(self, names: Sequence[str], progress: Callable[[int, int], None]) -> Iterator[pa.RecordBatch]:
        """Read the columns `names` of all rows, in order; stop early if the file is cut short.

        A compressed file is read to its end, where its checksum is: a flipped bit would invent objects.
        """
        schema = self.schema(names)
        wanted_columns = [(f"C{k}", column) for k, column in enumerate(self.columns, 1) if column.name in names]
        rows_at_once = max(1, _CHUNK_BYTES // max(1, self._row_bytes))
        with open_unpacked(self.path) as file:
            file.seek(self._offset)
            while self.delivered < self.rows:
                wanted = min(rows_at_once, self.rows - self.delivered)
                data = self._read(file, wanted * self._row_bytes)
                chunk = np.frombuffer(data, self._dtype, count=len(data) // self._row_bytes)
                if len(chunk):
                    arrays = [column.to_arrow(chunk[place]) for place, column in wanted_columns]
                    yield pa.record_batch(arrays, schema=schema)
                self.delivered += len(chunk)
                progress(self.delivered, self.rows)
                if len(chunk) < wanted:
                    return
            while not isinstance(file, BufferedReader) and self._read(file, _CHUNK_BYTES):
                pass

    def _read(self, file: Unpacked, count: int) -> bytes:
        """Up to `count` bytes; fewer at the end of the file, or if a compressed one is cut short or damaged."""
        parts = []
        try:
            while count and (part := file.read1(count)):
                parts.append(part)
                count -= len(part)
        except EOFError:
            self.broken_off = True
        except UNPACKING_ERRORS:
            self.damaged = True
        return parts[0] if len(parts) == 1 else b"".join(parts)


@dataclass(frozen=True)
class _Found:
    """A table of a FITS file: the number and name of its extension, its columns, and where its data begin."""

    number: int
    name: str
    columns: list[str]
    read: ReadHeader
    offset: int
    is_ascii: bool


def _tables(path: Path) -> list[_Found]:
    """The tables of a file, at least one; their rows are not read.

    The headers are read one by one, since `fits.open` skips a table that is cut short inside a gzipped file. Once a
    table was found, whatever cannot be read after it ends the search: there may be fillers of no meaning.
    """
    tables: list[_Found] = []
    try:
        with open_unpacked(path) as file:
            read = read_whole_header(file)
            if "SIMPLE" not in read.header:
                raise DamagedHeader("it does not begin with SIMPLE")
            for number in range(MOST_HDUS):
                check_sizes(read.header)
                kind = str(read.header.get("XTENSION", "")).strip()
                if kind in ("BINTABLE", "TABLE") and not read.header.get("ZIMAGE"):
                    if read.header["NAXIS"] != 2:
                        axes = read.header["NAXIS"]
                        raise DamagedHeader(f"its header is damaged (NAXIS of the table is {axes})")
                    offset, names = file.tell(), column_names(read)
                    tables.append(_Found(number, read.text_if_any("EXTNAME"), names, read, offset, kind == "TABLE"))
                file.seek(file.tell() + padded_size(data_bytes(read.header)))
                read = read_whole_header(file)
            raise DamagedHeader(f"there is no table among its first {MOST_HDUS:,} headers")
    # A damaged header makes astropy raise errors of many kinds: OSError, ValueError, AttributeError, IndexError ...
    except Exception as error:
        if tables:
            return tables
        if isinstance(error, EOFError):
            raise InputError(
                f"{path} holds no table; give a FITS file with the catalogue in a table extension"
            ) from None
        reason = in_one_line(error) or type(error).__name__
        raise InputError(f"{path} cannot be read as FITS ({reason}); fetch or write it again") from None


def _left_by_astropy(path: Path, read: ReadHeader) -> AstropyMetadata:
    lines = lines_in_comments([str(card) for card in read.header.get("COMMENT", ())])
    try:
        return read_astropy_yaml(lines) if lines else AstropyMetadata()
    # damaged YAML makes its parser and astropy raise errors of many kinds
    except Exception as error:
        reason = in_one_line(error) or type(error).__name__
        raise InputError(f"{path} has damaged comments of astropy on its columns ({reason}); write it again") from None


def _frame(read: ReadHeader) -> str:
    """The frame of the positions by RADESYS and EQUINOX, such as "FK5 2000.0"; "" if the header states none."""
    system = (read.text_if_any("RADESYS") or read.text_if_any("RADECSYS")).upper()
    equinox = read.text_if_any("EQUINOX")
    if not system and is_number(equinox):
        system = "FK5" if float(equinox) >= _JULIAN_EQUINOXES else "FK4"
    return f"{system} {equinox}" if system.startswith("FK") and equinox else system


class FitsFile(TableFile):
    """A table of a FITS file, as a table that DuckDB can read."""

    def __init__(self, path: Path, limits: Limits, choice: TableChoice) -> None:
        self._table = FitsTable(path, limits, choice)
        left = self._table.left_by_astropy
        columns = [
            FileColumn(
                column.name,
                sql_type(column.kind),
                column.unit or left.units.get(column.name, ""),
                frame=left.frames.get(column.name, ""),
            )
            for column in self._table.columns
        ]
        super().__init__(path, columns, limits)
        self.typed, self.frame = not self._table.is_ascii, self._table.frame or left.frame
        self.notes += [f"{path}: the library that reads its columns says: {note}" for note in self._table.notes]

    @contextmanager
    def scan(self, con: Connection, names: Sequence[str], progress: Progress) -> Iterator[Scan]:
        """Read the rows as a stream that can be read once."""
        table = self._table
        batches = table.batches(names, progress)
        con.register("file_stream", pa.RecordBatchReader.from_batches(table.schema(names), batches))
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
            raise InputError(f"{self.path} lacks the end of its compressed stream: it was cut short; fetch it again")
        self.notes += [
            f"{self.path}: the column {in_one_line(column.name, 60)} has letters beyond ASCII, read as "
            f"{' and '.join(sorted(column.encodings))}"
            for column in table.columns
            if column.encodings
        ]
