"""Base class of catalogue files that DuckDB can stream: CSV, ECSV, FITS, VOTable, Parquet.

DuckDB reads CSV and Parquet itself; FITS becomes a stream of Arrow batches. All three take little memory whatever the
number of rows. A VOTable or ECSV file is parsed as a whole, so a large one is refused. Cells are passed on as the file
has them; `typed_columns` decides for all formats what they mean and which are wrong.
"""

import threading
import unicodedata
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from catbuilder.catalogue.connection import Connection, set_progress_bar
from catbuilder.core.errors import InputError
from catbuilder.core.safe_text import in_one_line
from catbuilder.core.settings import Limits
from catbuilder.core.user_csv import refuse_many_columns

Progress = Callable[[int, int], None]  # (done, of)

_MOST_TABLES = 20  # that a message lists

_SQL_TYPES = {
    pa.bool_(): "BOOLEAN", pa.int8(): "TINYINT", pa.int16(): "SMALLINT", pa.int32(): "INTEGER", pa.int64(): "BIGINT",
    pa.uint8(): "UTINYINT", pa.uint16(): "USMALLINT", pa.uint32(): "UINTEGER", pa.uint64(): "UBIGINT",
    pa.float16(): "FLOAT", pa.float32(): "FLOAT", pa.float64(): "DOUBLE",
    pa.string(): "VARCHAR", pa.large_string(): "VARCHAR", pa.string_view(): "VARCHAR",
}  # fmt: skip


_MOST_DIGITS = 38  # of DuckDB's decimals


@dataclass(frozen=True)
class FileColumn:
    """A column of a file.

    Attributes
    ----------
    name : its name there
    type : DuckDB's type of its cells, "" if they are not single values
    unit : as the file states it, "" if it states none
    fault : why it cannot be used, as the end of a sentence; "" if it can
    frame : coordinate frame that the file states for this column, "" if it states none
    """

    name: str
    type: str
    unit: str = ""
    fault: str = ""
    frame: str = ""


@dataclass(frozen=True)
class Scan:
    """The SQL to write after FROM, and the parameters to bind there."""

    source: str
    parameters: dict[str, object]


@dataclass(frozen=True)
class TableChoice:
    """Which table of a file with several is meant.

    Attributes
    ----------
    name : its name or number, if the user gave one
    fits : whether a table with these columns can be it
    needed : the columns that it needs, for messages
    """

    name: str = ""
    fits: Callable[[Sequence[str]], bool] = lambda names: True
    needed: str = ""


ANY_TABLE = TableChoice()
"""The choice of who does not care."""


class TableFile(ABC):
    """A file whose columns are known and whose rows can be read once, in order."""

    malformed = "ingest/no_malformed_lines"  # the query that lists malformed lines after a scan
    typed = True  # whether the file states the types of its columns
    frame = ""  # of columns that state none of their own, as the file states it: "ICRS", "FK4 B1950", "GALACTIC" ...

    def __init__(self, path: Path, columns: Sequence[FileColumn], limits: Limits) -> None:
        refuse_many_columns(path, len(columns), limits)
        repeated = [name for name, n in Counter(folded_name(column.name) for column in columns).items() if n > 1]
        if repeated:
            raise InputError(f"{path} has the column '{in_one_line(repeated[0], 60)}' twice; keep one of them")
        self.path = path
        self.columns = tuple(columns)
        self.notes: list[str] = []  # sentences for the user: of opening it, and after a scan of its rows

    @property
    def bytes(self) -> int:
        """Size on disk."""
        return self.path.stat().st_size

    @abstractmethod
    def scan(self, con: Connection, names: Sequence[str], progress: Progress) -> AbstractContextManager[Scan]:
        """Make the rows readable for the connection while the body runs, with at least the columns `names`.

        The column of the ids comes first in `names`, if there is one.

        Raises
        ------
        InputError
            At the end: the file holds fewer rows than it declares.
        """

    def check_whole(self, con: Connection, records: int) -> None:  # noqa: B027
        """Refuse a file if some rows are neither among the `records` read nor in the table `malformed`."""

    def numbering(self, con: Connection) -> pa.Table:
        """Locate records: record `first` (from 0) is `row` of `file`, and so on up to the next entry."""
        return row_numbering([0], [str(self.path)], [1])


def folded_name(name: str) -> str:
    """Fold the name of a column for comparison: in lower case, and with letters such as é composed."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).lower())


def choose_table(path: Path, tables: Sequence[tuple[int, str, Sequence[str]]], choice: TableChoice) -> int:
    """Choose a table of a file: the place in `tables` of the one that is meant.

    Parameters
    ----------
    tables : number, name (or "") and columns of each table; at least one

    Raises
    ------
    InputError
        The named table is not there, no table has the columns, or several have.
    """
    listed = _listed([(number, name) for number, name, _ in tables])
    if choice.name:
        asked = folded_name(choice.name.strip())
        named = [place for place, (_, name, _) in enumerate(tables) if folded_name(name) == asked]
        named = named or [place for place, (number, _, _) in enumerate(tables) if str(number) == asked]
        if len(named) == 1:
            return named[0]
        wrong = "several tables of this name" if named else "no such table"
        raise InputError(
            f"--table {in_one_line(choice.name, 60)}: {path} has {wrong} (it has {listed}); give its number"
        )
    if len(tables) == 1:
        return 0
    fitting = [place for place, (_, _, columns) in enumerate(tables) if choice.fits(columns)]
    if len(fitting) == 1:
        return fitting[0]
    if not fitting:
        raise InputError(
            f"{path} holds {len(tables)} tables ({listed}), and none has the columns that are needed"
            f"{f' ({choice.needed})' if choice.needed else ''}; name one with --table, or give another file"
        )
    same = _listed([tables[place][:2] for place in fitting])
    raise InputError(f"{path} holds {len(fitting)} tables that could be meant: {same}; name one with --table")


def _listed(tables: Sequence[tuple[int, str]]) -> str:
    """List tables for a message: 1 'stars', 2 'galaxies', 3."""
    said = [f"{number} '{in_one_line(name, 60)}'" if name else str(number) for number, name in tables[:_MOST_TABLES]]
    return ", ".join([*said, *([f"and {len(tables) - _MOST_TABLES} more"] if len(tables) > _MOST_TABLES else [])])


def sql_type(kind: pa.DataType) -> str:
    """Return DuckDB's type of an Arrow type; "" for lists, blobs and other types without a single plain value."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_decimal(kind) and kind.precision > _MOST_DIGITS:
        return "DOUBLE"  # as which DuckDB reads it
    if pa.types.is_decimal(kind):  # databases export 64-bit unsigned numbers as decimals without a fraction
        return "HUGEINT" if kind.scale == 0 else f"DECIMAL({kind.precision},{kind.scale})"
    return _SQL_TYPES.get(kind, "")


def unit_text(field: pa.Field) -> str:
    """Read the unit that an Arrow field carries in its metadata; empty if none."""
    return str((field.metadata or {}).get(b"unit", b"").decode("utf-8", "replace"))


def damaged_table(path: Path) -> InputError:
    """Make the error for a file whose checksum is wrong."""
    return InputError(f"{path} is damaged (its checksum is wrong); fetch it again")


def row_numbering(firsts: object, files: Sequence[str], rows: object) -> pa.Table:
    """Make the table that maps a running row number to file and row: first, file, row."""
    return pa.table({"first": pa.array(firsts, pa.int64()), "file": list(files), "row": pa.array(rows, pa.int64())})


def numbering_without(path: Path, before: int, skipped: npt.NDArray[np.int64]) -> pa.Table:
    """Number the rows of a file of which some were left out.

    Parameters
    ----------
    before : lines before the first row
    skipped : numbers of the rows that were left out, sorted
    """
    rows = np.concatenate([np.array([before], np.int64), skipped]) + 1
    firsts = rows - before - 1 - np.arange(len(rows))
    # of consecutive skipped rows, the last one gives the number of the next record
    last = np.append(firsts[1:] != firsts[:-1], True)
    return row_numbering(firsts[last], [str(path)] * int(last.sum()), rows[last])


@contextmanager
def duckdb_progress(con: Connection, progress: Progress) -> Iterator[None]:
    """Report the progress of DuckDB's reading while the body runs, from another thread."""
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
