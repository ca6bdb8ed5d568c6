"""Tables of the archives as something that DuckDB can stream from: CSV, FITS, VOTable, Parquet.

What DuckDB reads itself (CSV, Parquet) it reads; FITS becomes a stream of Arrow batches. All three take the
same little memory for ten rows and for a billion. A VOTable is parsed as a whole, so a large one is refused
rather than left to eat the machine. Cells are handed on as the file has them: what they mean, and which are
wrong, is for the archive's rules to say (`staging`), once for all formats.
"""

import csv
import glob
import gzip
import re
import threading
import warnings
import zlib
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO, cast
from xml.parsers import expat

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from astropy.io import votable

from catbuilder.catalogue.database import Connection, fetch_arrow, fetch_number, first_row, set_progress_bar
from catbuilder.core.csv_table import refuse_many_columns
from catbuilder.core.errors import InputError
from catbuilder.core.resources import query
from catbuilder.core.safe_text import in_one_line
from catbuilder.core.settings import Limits
from catbuilder.ingest.tables.fits_table import FitsTable

Progress = Callable[[int, int], None]  # (done, of)

_OTHER_MARKS = {";": "semicolons", "\t": "tabs", "|": "bars"}  # what files called CSV have for commas
_CHUNK_BYTES = 1 << 20
_NEEDLESS_CELLS = 1000  # beyond those of the header: the others of a line are named one by one
_QUOTED = re.compile(rb'"[^"]*"')
_LONGEST_LINE = 4_000_000  # letters: DuckDB reads lines of up to 2 MB

_SQL_TYPES = {
    pa.bool_(): "BOOLEAN", pa.int8(): "TINYINT", pa.int16(): "SMALLINT", pa.int32(): "INTEGER", pa.int64(): "BIGINT",
    pa.uint8(): "UTINYINT", pa.uint16(): "USMALLINT", pa.uint32(): "UINTEGER", pa.uint64(): "UBIGINT",
    pa.float16(): "FLOAT", pa.float32(): "FLOAT", pa.float64(): "DOUBLE",
    pa.string(): "VARCHAR", pa.large_string(): "VARCHAR", pa.string_view(): "VARCHAR",
}  # fmt: skip
_VOTABLE_TYPES = {
    "boolean": pa.bool_(), "bit": pa.bool_(), "unsignedByte": pa.uint8(), "short": pa.int16(), "int": pa.int32(),
    "long": pa.int64(), "float": pa.float32(), "double": pa.float64(),
}  # fmt: skip


@dataclass(frozen=True)
class FileColumn:
    """A column as the file names it, with DuckDB's type for its cells ("" if they are no single values)."""

    name: str
    type: str
    unit: str = ""


@dataclass(frozen=True)
class Scan:
    """What to write after FROM, and the parameters to bind there."""

    source: str
    parameters: dict[str, object]


class TableFile(ABC):
    """A file whose columns are known and whose rows can be read once, in order."""

    malformed = "malformed_none"  # the query that lists lines which are no rows, after a scan
    typed = True  # whether the file says of what type its columns are

    def __init__(self, path: Path, columns: Sequence[FileColumn], limits: Limits) -> None:
        refuse_many_columns(path, len(columns), limits)
        repeated = [name for name, n in Counter(column.name.lower() for column in columns).items() if n > 1]
        if repeated:
            raise InputError(f"{path} has the column '{in_one_line(repeated[0], 60)}' twice; keep one of them")
        self.path = path
        self.columns = tuple(columns)

    @property
    def bytes(self) -> int:
        """Size on the disk."""
        return self.path.stat().st_size

    @abstractmethod
    def scan(self, con: Connection, names: Sequence[str], progress: Progress) -> AbstractContextManager[Scan]:
        """Lend the rows to the connection while the body runs, with at least the columns `names`.

        Raises
        ------
        InputError
            On leaving: the file holds fewer rows than it declares.
        """

    def check_whole(self, con: Connection, records: int) -> None:  # noqa: B027
        """Refuse a file of which rows are neither among the `records` read nor in the table `malformed`."""

    def numbering(self, con: Connection) -> pa.Table:
        """Where records stand: record `first` (from 0) is `row` of `file`, and so on up to the next such line."""
        return _pieces([0], [str(self.path)], [1])


def open_table(path: Path, limits: Limits | None = None) -> TableFile:
    """Look at a file's columns: .csv[.gz], .fits[.gz], .vot, .xml, .votable, .parquet, or a folder or glob of Parquet.

    Raises
    ------
    InputError
        No such file, of none of these kinds, too large, or one that cannot be read as what its name says.
    """
    limits = limits or Limits()
    name = path.name.lower().removesuffix(".gz")
    parts = _parts(path)
    if parts:
        return ParquetFiles(path, parts, limits)
    if not path.is_file():
        raise InputError(f"there is no file {path}; give a CSV, FITS, VOTable or Parquet file, or a folder of Parquet")
    if name.endswith(".csv"):
        return CsvFile(path, limits)
    if name.endswith((".fits", ".fit")):
        return FitsFile(path, limits)
    if name.endswith((".vot", ".xml", ".votable")):
        return VotableFile(path, limits)
    raise InputError(
        f"{path} is of no known kind by its name; give .csv, .csv.gz, .fits, .fits.gz, .vot, .xml, .votable or .parquet"
    )


def sql_type(kind: pa.DataType) -> str:
    """DuckDB's type of an Arrow type, "" for lists, blobs and whatever else is no number, text or truth value."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_decimal(kind) and kind.scale == 0:
        return "HUGEINT"  # as databases hand out 64-bit unsigned numbers
    return _SQL_TYPES.get(kind, "")


class CsvFile(TableFile):
    """CSV as the archives write it: '#' lines may stand before the header, a byte order mark before those."""

    malformed = "malformed_csv"
    typed = False

    def __init__(self, path: Path, limits: Limits) -> None:
        header, self._header_line = _csv_header(path)
        if len(header) == 1 and (
            found := next((name for mark, name in _OTHER_MARKS.items() if mark in header[0]), None)
        ):
            raise InputError(f"{path} is parted by {found}; save it with commas between the cells")
        names = [cell.strip() or f"column {place}" for place, cell in enumerate(header, 1)]
        super().__init__(path, [FileColumn(name, "VARCHAR") for name in names], limits)

    @contextmanager
    def scan(self, con: Connection, names: Sequence[str], progress: Progress) -> Iterator[Scan]:
        """Every cell as text; lines that are no rows are set aside by DuckDB."""
        _refuse_needless_cells(self.path, len(self.columns))
        with _watched(con, progress):
            yield Scan(
                f"({query('scan_csv')})",
                {"file": str(self.path), "skip": self._header_line,
                 "columns": {column.name: "VARCHAR" for column in self.columns}},
            )  # fmt: skip

    def check_whole(self, con: Connection, records: int) -> None:
        """Behind a quoted cell that does not end DuckDB passes over up to megabytes of rows without naming them.

        Raises
        ------
        InputError
            Such rows, which only lines can count.
        """
        text = "SELECT min(line) FROM reject_errors WHERE error_type = 'UNQUOTED VALUE'"
        row = first_row(con, text)
        if row is None or row[0] is None:
            return
        lines = sum(number > self._header_line and not blank for number, blank in _lines(self.path))
        lost = lines - records - fetch_number(con, "SELECT count(*) FROM malformed")
        if lost > 0:
            raise InputError(
                f"{self.path}: in row {row[0]} a quoted cell does not end, and {lost:,} rows after it cannot be told "
                "apart; close the quote or take it out"
            )

    def numbering(self, con: Connection) -> pa.Table:
        """Lines as a text editor counts, the malformed and the blank ones too."""
        malformed = fetch_arrow(con, "SELECT row FROM malformed").column(0).to_numpy()
        blank = [number for number, is_blank in _lines(self.path) if number > self._header_line and is_blank]
        skipped = np.union1d(malformed, np.array(blank, np.int64)).astype(np.int64)
        rows = np.concatenate([[self._header_line], skipped]) + 1
        firsts = rows - self._header_line - 1 - np.arange(len(rows))
        # of lines skipped one after the other, the last one says where the next record stands
        last = np.append(firsts[1:] != firsts[:-1], True)
        return _pieces(firsts[last], [str(self.path)] * int(last.sum()), rows[last])


class ParquetFiles(TableFile):
    """One Parquet file, or the parts of a table."""

    def __init__(self, path: Path, parts: Sequence[Path], limits: Limits) -> None:
        self._parts = parts
        footers = [_footer(part) for part in parts]
        columns, _ = footers[0]
        for part, (others, _) in zip(parts, footers, strict=True):
            _check_same(parts[0], columns, part, others)
        self._rows = [rows for _, rows in footers]
        super().__init__(path, columns, limits)

    @property
    def bytes(self) -> int:
        """Size of all parts on the disk."""
        return sum(part.stat().st_size for part in self._parts)

    @contextmanager
    def scan(self, con: Connection, names: Sequence[str], progress: Progress) -> Iterator[Scan]:
        """The rows of all parts, one part after the other."""
        with _watched(con, progress):
            yield Scan(f"({query('scan_parquet')})", {"files": [str(part) for part in self._parts]})

    def numbering(self, con: Connection) -> pa.Table:
        """Rows are counted from 1 in each part."""
        # a part without rows begins where the next one does, which would be told by its name
        parts = [(str(part), rows) for part, rows in zip(self._parts, self._rows, strict=True) if rows]
        firsts = np.concatenate([[0], np.cumsum([rows for _, rows in parts])[:-1]])
        return _pieces(firsts, [part for part, _ in parts], [1] * len(parts))


class FitsFile(TableFile):
    """The first binary table of a FITS file."""

    def __init__(self, path: Path, limits: Limits) -> None:
        self._table = FitsTable(path, limits)
        columns = [
            FileColumn(field.name, sql_type(field.type), unit)
            for field, unit in zip(self._table.fields, self._table.units, strict=True)
        ]
        super().__init__(path, columns, limits)

    @contextmanager
    def scan(self, con: Connection, names: Sequence[str], progress: Progress) -> Iterator[Scan]:
        """The rows as a stream that can be read once."""
        table = self._table
        schema = pa.schema([field for field in table.fields if field.name in names])
        con.register("file_stream", pa.RecordBatchReader.from_batches(schema, table.batches(names, progress)))
        try:
            yield Scan("file_stream", {})
        finally:
            con.unregister("file_stream")
        if table.damaged:
            raise _damaged(self.path)
        if table.delivered < table.rows:
            raise InputError(
                f"{self.path} declares {table.rows:,} rows and holds {table.delivered:,}: it was cut short; "
                "fetch it again"
            )
        if table.broken_off:
            raise InputError(f"{self.path} lacks the end of its gzip stream: it was cut short; fetch it again")


class VotableFile(TableFile):
    """The first table of a VOTable, parsed as a whole by astropy, with the wanted columns alone."""

    def __init__(self, path: Path, limits: Limits) -> None:
        size = path.stat().st_size
        if size > limits.max_votable_mb * 1_000_000:
            raise InputError(
                f"{path} is a VOTable of {size / 1e6:,.0f} MB, which would be held in memory as a whole (no more "
                f"than {limits.max_votable_mb:,} MB may be); convert it to FITS or Parquet first (TOPCAT does)"
            )
        self._fields = _votable_fields(path)
        super().__init__(path, [FileColumn(f.name, sql_type(f.type), _unit(f)) for f in self._fields], limits)

    @contextmanager
    def scan(self, con: Connection, names: Sequence[str], progress: Progress) -> Iterator[Scan]:
        """The rows, read into memory."""
        places = [place for place, field in enumerate(self._fields) if field.name in names]
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # archives' VOTables are seldom to the letter
                table = votable.parse(self.path, columns=places).get_first_table()
            wanted = [self._fields[place] for place in places]
            cells = [table.array[name] for name in table.array.dtype.names] if places else []
            arrays = [_masked_to_arrow(values, field.type) for values, field in zip(cells, wanted, strict=True)]
        # What is wrong inside raises what astropy happens to do with it: ValueError, IndexError, AttributeError ...
        except Exception as error:
            raise _no_votable(self.path, error) from None
        con.register("file_stream", pa.table(arrays, schema=pa.schema(wanted)))
        try:
            yield Scan("file_stream", {})
        finally:
            con.unregister("file_stream")


def _parts(path: Path) -> list[Path]:
    if path.is_dir():
        parts = sorted(part for part in path.rglob("*.parquet") if not part.name.startswith(("_", ".")))
        if not parts:
            raise InputError(f"the folder {path} holds no .parquet file; give a folder of the parts of one table")
        return parts
    if path.suffix.lower() in (".parquet", ".pq"):
        return sorted(Path(name) for name in glob.glob(str(path), recursive=True)) if not path.is_file() else [path]
    return []


def _footer(part: Path) -> tuple[list[FileColumn], int]:
    """Columns and number of rows of a Parquet file."""
    try:
        file = pq.ParquetFile(part)
        fields, rows = list(file.schema_arrow), file.metadata.num_rows
        file.close()
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        reason = in_one_line(error)
        raise InputError(f"{part} cannot be read as Parquet ({reason}); fetch or write it again") from None
    return [FileColumn(field.name, sql_type(field.type), _unit(field)) for field in fields], rows


def _unit(field: pa.Field) -> str:
    return str((field.metadata or {}).get(b"unit", b"").decode("utf-8", "replace"))


def _check_same(first: Path, columns: Sequence[FileColumn], part: Path, others: Sequence[FileColumn]) -> None:
    here, there = ({column.name: column.type for column in some} for some in (columns, others))
    faults = [f"lacks {name}" for name in here if name not in there]
    faults += [f"has {name} besides" for name in there if name not in here]
    faults += [
        f"has {name} as {there[name] or 'a list'} and not {here[name] or 'a list'}"
        for name in here
        if name in there and here[name] != there[name]
    ]
    if faults:
        raise InputError(f"{part} has other columns than {first}: it {', '.join(faults)}; give parts of one table")


def _refuse_needless_cells(path: Path, columns: int) -> None:
    """Read the file once, for a line of far more cells than the header has and, if packed, for a wrong checksum.

    DuckDB spends time that grows with the square of such cells, 15 s and 1.2 GB on a line of 40,000; and it does not
    look at the checksum of gzip.
    """
    most = columns + _NEEDLESS_CELLS
    try:
        with gzip.open(path) if path.name.lower().endswith(".gz") else open(path, "rb") as file:
            number, cells = 1, 0
            while part := file.readline(_CHUNK_BYTES):
                if len(part) > most:
                    cells += _QUOTED.sub(b"", part).count(b",")
                if cells > most:
                    raise InputError(
                        f"row {number:,} of {path} has more than {most:,} cells where the header has {columns:,}; take "
                        "it out, or fetch the file again"
                    )
                if part.endswith(b"\n"):
                    number, cells = number + 1, 0
    except (OSError, EOFError, zlib.error):
        raise _damaged(path) from None


def _damaged(path: Path) -> InputError:
    return InputError(f"{path} is damaged (its checksum is wrong); fetch it again")


def _opened_text(path: Path) -> TextIO:
    # what is no UTF-8 is set aside by DuckDB, line by line; here only lines are counted
    if path.name.lower().endswith(".gz"):
        return cast(TextIO, gzip.open(path, "rt", encoding="utf-8-sig", errors="replace", newline="\n"))
    return open(path, encoding="utf-8-sig", errors="replace", newline="\n")


def _lines(path: Path) -> Iterator[tuple[int, bool]]:
    """Number of each line and whether it is blank; a line of any length takes no more memory than a short one."""
    with _opened_text(path) as file:
        number, blank = 1, True
        while part := file.readline(_CHUNK_BYTES):
            blank = blank and part.isspace()
            if part.endswith("\n"):
                yield number, blank
                number, blank = number + 1, True
            elif len(part) < _CHUNK_BYTES:
                yield number, blank


def _csv_header(path: Path) -> tuple[list[str], int]:
    """The header's cells, and the line it stands on (the first is 1)."""
    try:
        with _opened_text(path) as file:
            number = 0
            while line := file.readline(_LONGEST_LINE + 1):
                number += 1
                if len(line) > _LONGEST_LINE:
                    raise InputError(
                        f"{path} has a line of more than {_LONGEST_LINE:,} letters; save it as CSV with a row a line"
                    )
                if "\x00" in line:
                    raise InputError(f"{path} is not a CSV text file; save it as UTF-8 CSV with a header row")
                if line.strip() and not line.startswith("#"):
                    return next(csv.reader([line])), number
    except (OSError, EOFError, zlib.error, csv.Error) as error:
        raise InputError(f"{path} cannot be read as CSV ({error}); fetch or save it again") from None
    raise InputError(f"{path} is empty; it needs a header row with the names of the columns")


def _votable_fields(path: Path) -> list[pa.Field]:
    """The columns that the first table declares.

    The whole text is walked, once and in C: a VOTable may send its reader on to files and addresses of its choosing
    (STREAM href), which astropy would fetch, and may define entities that unfold to gigabytes.
    """
    fields: list[pa.Field] = []
    tables = 0

    def begins(tag: str, attributes: dict[str, str]) -> None:
        nonlocal tables
        kind = tag.rpartition(":")[2]
        tables += kind == "TABLE"
        if kind == "STREAM" and attributes.get("href"):
            raise _Forbidden("its rows are elsewhere, at the address in STREAM href, which is not followed")
        if kind == "FIELD" and tables <= 1:
            name = attributes.get("name") or attributes.get("ID") or ""
            unit = {"unit": attributes.get("unit", "")}
            fields.append(pa.field(name, _votable_type(attributes), metadata=unit))

    def defines(*_: object) -> None:
        raise _Forbidden("it defines entities of its own, which no VOTable needs")

    parser = expat.ParserCreate()
    parser.StartElementHandler, parser.EntityDeclHandler = begins, defines
    try:
        with open(path, "rb") as file:
            parser.ParseFile(file)
    # ExpatError, LookupError of an encoding that nobody knows, our own _Forbidden ...
    except Exception as error:
        raise _no_votable(path, error) from None
    if not fields:
        raise InputError(f"{path} holds no table; give a VOTable with the catalogue in its first TABLE")
    return fields


class _Forbidden(Exception):
    """Never leaves this module: a VOTable asks for what is not done."""


def _no_votable(path: Path, error: Exception) -> InputError:
    reason = in_one_line(error) or type(error).__name__
    return InputError(
        f"{path} cannot be read as a VOTable ({reason}); fetch it again, or save it as FITS (TOPCAT does)"
    )


def _votable_type(attributes: dict[str, str]) -> pa.DataType:
    kind, size = attributes.get("datatype", ""), attributes.get("arraysize", "1")
    if kind in ("char", "unicodeChar"):
        return pa.string() if "x" not in size else pa.null()
    return _VOTABLE_TYPES.get(kind, pa.null()) if size == "1" else pa.null()


def _masked_to_arrow(values: np.ma.MaskedArray, kind: pa.DataType) -> pa.Array:
    if pa.types.is_string(kind):
        return pa.array([None if text is np.ma.masked else str(text) for text in values], kind)
    return pa.array(np.ma.getdata(values), kind, mask=np.ma.getmaskarray(values))


def _pieces(firsts: object, files: Sequence[str], rows: object) -> pa.Table:
    return pa.table({"first": pa.array(firsts, pa.int64()), "file": list(files), "row": pa.array(rows, pa.int64())})


@contextmanager
def _watched(con: Connection, progress: Progress) -> Iterator[None]:
    """Tell how far DuckDB's own reading is while the body runs: only another thread can ask."""
    set_progress_bar(con, True)
    ended = threading.Event()

    def ask() -> None:
        while not ended.wait(0.2):
            if (percent := con.query_progress()) > 0:
                progress(int(percent), 100)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
