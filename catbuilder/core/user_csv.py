"""Read a small CSV table into memory: typed rows by declared columns, and rejected rows with their reasons.

This reader is for the tables that users write themselves: labels, test sets, lists of images. Each cell is parsed in
Python, and a table above `limits.max_csv_mb` is refused. For the archives' catalogues, of any size, see
`catbuilder.ingest.tables.streamed_csv`, where DuckDB streams the rows.
"""

import hashlib
import io
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TextIO

from catbuilder.core.column_names import meant_column
from catbuilder.core.coordinates import DEC_LIMITS, RA_LIMITS, Axis, read_degrees, wrap_ra
from catbuilder.core.csv_rows import CsvLine, CsvLines
from catbuilder.core.errors import InputError
from catbuilder.core.safe_text import counted, from_spreadsheet, in_one_line, is_number
from catbuilder.core.settings import Limits, did_you_mean

LISTED_ROWS = 20
"""Rejected rows that a report lists."""

_INT64_MAX = 2**63 - 1
_MOST_DIGITS = 4000  # Python makes no number of more than 4,300
_LONGEST_CELL = 60  # letters of a cell that a reason repeats
_LONGEST_REASON = 500
_LONGEST_REJECTION = 1000  # letters
_LISTED_COLUMNS = 20
_ROWS_IN_AN_ERROR = 3
_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars"}
_OTHER_KINDS = {
    b"\xff\xfe": "UTF-16 text", b"\xfe\xff": "UTF-16 text", b"PK\x03\x04": "a workbook of a spreadsheet",
    b"\xd0\xcf\x11\xe0": "a workbook of a spreadsheet", b"\x1f\x8b": "compressed by gzip", b"SIMPLE  =": "a FITS file",
    b"PAR1": "a Parquet file", b"<?xml": "an XML file", b"<VOTABLE": "a VOTable", b"# %ECSV": "an ECSV table",
}  # fmt: skip


@dataclass(frozen=True)
class Rejection:
    """A row that was left out: its file, its row number and the reason."""

    file: str
    row: int  # as a text editor counts: the header is row 1
    object_id: str
    reason: str
    repeated: bool = False  # the row says only what an earlier one says, so that nothing is lost without it

    def __str__(self) -> str:
        return f"{self.file}, {self.place}: {self.reason}"

    @property
    def place(self) -> str:
        """Row and id, if the row has one, without the file."""
        return f"row {self.row} (object_id {self.object_id})" if self.object_id else f"row {self.row}"


class BadValue(ValueError):
    """A cell that cannot be used. Its message, always one line, becomes the reason of a `Rejection`."""

    def __str__(self) -> str:
        return in_one_line(super().__str__(), _LONGEST_REASON)


@dataclass(frozen=True)
class CsvColumn:
    """Declare a column of a CSV table.

    Attributes
    ----------
    name : in lower case; the header row may have it in any case
    parse : turns the text of a cell into its value; raises `BadValue` for a text that cannot be used
    required : whether the table must have the column. Without it, an absent column or an empty cell gives None; with
        it, `parse` sees the empty text too
    """

    name: str
    parse: Callable[[str], Any] = str
    required: bool = False


@dataclass(frozen=True)
class CsvRow:
    """One row: `row["ra"]` is the value of a declared column, `cells` has the texts of all by lower-case name."""

    number: int  # as a text editor counts: the header is row 1
    cells: dict[str, str]
    values: dict[str, Any] = field(default_factory=dict)

    def __getitem__(self, column: str) -> Any:
        return self.values[column]


@dataclass
class CsvRows:
    """The good rows of a CSV file, and its rejected ones."""

    path: Path
    columns: list[str]  # of the header, in lower case
    rows: list[CsvRow] = field(default_factory=list)
    rejections: list[Rejection] = field(default_factory=list)
    unused: tuple[str, ...] = ()  # columns that are not declared, as the header has them; some with a hint

    def reject(self, row: int, cells: dict[str, str], reason: str, *, repeated: bool = False) -> None:
        """List a row among the rejections."""
        object_id = in_one_line(cells.get("object_id", ""))
        self.rejections.append(Rejection(str(self.path), row, object_id, reason, repeated))

    def parse(self, columns: Sequence[CsvColumn]) -> None:
        """Parse the cells of every row; rows with a bad cell move to the rejections."""
        rows, self.rows = self.rows, []
        for row in rows:
            try:
                self.rows.append(CsvRow(row.number, row.cells, parse_cells(row.cells, columns)))
            except BadValue as error:
                self.reject(row.number, row.cells, str(error))

    def refuse_rejections(self, *, repeats: bool = True) -> None:
        """Raise InputError if a row was rejected; without `repeats`, rows that repeat an earlier one may be."""
        refuse_rejections(self.path, [one for one in self.rejections if repeats or not one.repeated])


def read_table(
    path: Path,
    columns: Sequence[CsvColumn],
    *,
    unique: Sequence[str] = ("object_id",),
    limits: Limits | None = None,
    delimiter: str = ",",
) -> CsvRows:
    """Read a CSV file (UTF-8, with or without a byte order mark) into typed rows.

    Columns are found by name in any case. Rows with a bad cell, a wrong number of cells, a quote that does not end or a
    repeated id are rejected. Columns that are not declared are kept as text, and listed as unused.

    Parameters
    ----------
    columns : the columns to parse, and those that the file must have
    unique : columns whose values together may occur only once; none if rows may repeat
    limits : the most bytes and columns, since the table is held in memory
    delimiter : the letter between cells

    Raises
    ------
    InputError
        The file does not exist, is not CSV text, is too large, lacks a required column or has no row at all.
    """
    limits = limits or Limits()
    try:
        with open(path, "rb") as file:
            _refuse_other_kinds(path, file.peek(16))
            text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
            lines = CsvLines(_bounded(path, text, limits.max_csv_mb), delimiter)
            table = _read(path, lines, columns, unique, limits)
    except FileNotFoundError:
        raise InputError(f"there is no table {path}; give the path of a CSV file with a header row") from None
    except IsADirectoryError:
        raise InputError(f"{path} is a folder; give the path of a CSV file with a header row") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); give the path of a CSV file") from None
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path} is not a CSV text file in UTF-8 ({_place_of(path, error)}); save it as UTF-8 CSV"
        ) from None
    except ValueError as error:  # a zero byte in the path
        raise InputError(f"{in_one_line(path)} cannot be the path of a file ({error}); give a CSV file") from None
    if not table.rows and not table.rejections:
        raise InputError(f"{path} has a header but no rows; add rows, or give another table")
    table.parse(columns)
    return table


def refuse_rejections(path: Path, rejections: Sequence[Rejection], n: int | None = None) -> None:
    """Raise InputError if rows could not be used: for what is written once, and where the user wants all or nothing.

    Parameters
    ----------
    n : number of rejected rows, if not all are listed
    """
    n = len(rejections) if n is None else n
    if n:
        first = "; ".join(f"{one.place}: {one.reason}" for one in rejections[:_ROWS_IN_AN_ERROR])
        more = f"; and {n - _ROWS_IN_AN_ERROR:,} more" if n > _ROWS_IN_AN_ERROR else ""
        rows = "a row" if n == 1 else f"{n:,} rows"
        raise InputError(
            f"{path} is refused and nothing is recorded, since {rows} could not be used: {first}{more}; mend the "
            "table, or take the rows out"
        )


def parse_cells(cells: dict[str, str], columns: Sequence[CsvColumn]) -> dict[str, Any]:
    """Parse the cells of one row by column name.

    Raises
    ------
    BadValue
        A cell cannot be used.
    """
    texts = ((column, cells.get(column.name, "")) for column in columns)
    return {column.name: column.parse(text) if text or column.required else None for column, text in texts}


def refuse_many_columns(path: Path, columns: int, limits: Limits) -> None:
    """Raise InputError for a table with more columns than `limits.max_columns`: each one costs memory."""
    if columns > limits.max_columns:
        raise InputError(
            f"{path} has {columns:,} columns, above the limit of {limits.max_columns:,}; keep the columns that are "
            "needed, or raise limits.max_columns in catbuilder.toml"
        )


def list_columns(columns: Sequence[str]) -> str:
    """List the names of the first twenty columns for a message."""
    more = [f"and {len(columns) - _LISTED_COLUMNS:,} more"] if len(columns) > _LISTED_COLUMNS else []
    return ", ".join([*(_shown(name) for name in columns[:_LISTED_COLUMNS]), *more])


def unused_columns(columns: Sequence[str]) -> list[str]:
    """Name the columns of a table that were not used, in one sentence for a person; none if all were."""
    return [f"Columns not used: {list_columns(columns)}."] if columns else []


def list_rejections(rejections: Sequence[Rejection], recorded: bool = True, n: int | None = None) -> list[str]:
    """List the first twenty rejected rows and their reasons, a line each, for a terminal.

    Parameters
    ----------
    recorded : whether the table of rejections has them all
    n : number of rejected rows, if `rejections` are only the first of them
    """
    n = len(rejections) if n is None else n
    if not n:
        return []
    return [
        f"{counted(n, 'row')} could not be used:",
        *(f"  {in_one_line(rejection, _LONGEST_REJECTION)}" for rejection in rejections[:LISTED_ROWS]),
        *(see_the_rest(n, "SELECT * FROM rejections") if recorded else _rest(n)),
    ]


def see_the_rest(n: int, query: str) -> list[str]:
    """Name the SQL query that shows all `n` rows of a list, if only the first twenty were listed."""
    return [f'{line}; see them all with: catbuilder sql "{query}"' for line in _rest(n)]


def _rest(n: int) -> list[str]:
    return [f"  ... and {n - LISTED_ROWS:,} more"] if n > LISTED_ROWS else []


def parse_object_id(text: str) -> tuple[int, str | None]:
    """Parse an id: the survey's number, and the text if it is not a number.

    A text id becomes a 63-bit hash that is the same on every machine (BLAKE2b).
    """
    if not text:
        raise BadValue("object_id is empty; every row needs one")
    if '"' in text or not text.isprintable():  # what a stray quote leaves behind
        raise BadValue(f"object_id {_shown(text)} has a quote or a line break in it; is a quote missing or too many?")
    if text.isascii() and text.isdigit():
        if len(text) > _MOST_DIGITS or int(text) > _INT64_MAX:
            raise BadValue(f"object_id {_shown(text)} does not fit 64 bits; add a letter to make it a text id")
        return int(text), None
    if is_number(text):  # such as 5.87724E+17, an id that a spreadsheet rounded
        raise BadValue(
            f"object_id {_shown(text)} is not a whole positive number; was the table saved by a spreadsheet?"
        )
    digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") & _INT64_MAX, text


OBJECT_ID = CsvColumn("object_id", parse_object_id, required=True)
"""The id column of every table; its value is the number and, of a text id, the text."""


def number_column(name: str, low: float, high: float, *, required: bool = False) -> CsvColumn:
    """Declare a column of numbers in [low, high]; an empty cell is None."""
    return CsvColumn(name, partial(_parse_number, name, low, high), required)


def position_columns(*, required: bool = False) -> tuple[CsvColumn, CsvColumn]:
    """Declare the columns `ra` and `dec` (ICRS): degrees, or hours (for dec degrees), minutes and seconds.

    Right ascensions below 0 are those above 180: -0.1 becomes 359.9.
    """
    return (
        CsvColumn("ra", partial(_parse_coordinate, "ra"), required),
        CsvColumn("dec", partial(_parse_coordinate, "dec"), required),
    )


def choice_column(name: str, choices: Sequence[str]) -> CsvColumn:
    """Declare a column whose cells are one of a few words, or empty."""
    return CsvColumn(name, partial(_parse_choice, name, choices))


def survey_column(surveys: Sequence[str], *, required: bool = False) -> CsvColumn:
    """Declare the column `survey`: one of the workspace's surveys."""
    return CsvColumn("survey", partial(_parse_survey, surveys), required)


def label_column(classes: Sequence[str], *, required: bool = False) -> CsvColumn:
    """Declare the column `label`: one of the workspace's classes."""
    return CsvColumn("label", partial(_parse_class, classes), required)


def _parse_number(column: str, low: float, high: float, text: str) -> float | None:
    """A number, or None where the cell is empty or says that there is none (nan, null)."""
    if text.lower() in ("", "nan", "null", "none"):
        return None
    try:
        value = float(text)
    except ValueError:
        raise BadValue(f"{column} is '{_shown(text)}', which is not a number") from None
    if not low <= value <= high:
        raise BadValue(f"{column} is {_shown(text)}, outside {low:g} to {high:g}")
    return value


def _parse_coordinate(axis: Axis, text: str) -> float | None:
    if text.lower() in ("", "nan", "null", "none"):
        return None
    value = read_degrees(text, axis)
    if value is None:
        hours = "hours" if axis == "ra" else "degrees"
        raise BadValue(f"{axis} is '{_shown(text)}', neither degrees nor {hours}, minutes and seconds")
    low, high = RA_LIMITS if axis == "ra" else DEC_LIMITS
    if not low <= value <= high:
        raise BadValue(f"{axis} is {_shown(text)}, outside {low:g} to {high:g} degrees")
    return wrap_ra(value) if axis == "ra" else value


def _parse_choice(column: str, choices: Sequence[str], text: str) -> str:
    if text not in choices:
        raise BadValue(f"unknown {column} '{_shown(text)}'; use {', '.join(choices)}")
    return text


def _parse_survey(surveys: Sequence[str], text: str) -> str:
    if not text:
        raise BadValue(f"survey is empty; fill in one of {', '.join(surveys)}")
    if text not in surveys:
        near = did_you_mean(text, list(surveys))
        raise BadValue(f"unknown survey '{_shown(text)}'{near}; this workspace has {', '.join(surveys)}")
    return text


def _parse_class(classes: Sequence[str], text: str) -> str:
    if not text:
        raise BadValue(f"label is empty; fill in one of {', '.join(classes)}")
    if text not in classes:
        raise BadValue(f"unknown class '{_shown(text)}'; this workspace has {', '.join(classes)}")
    return text


def _read(path: Path, lines: CsvLines, columns: Sequence[CsvColumn], unique: Sequence[str], limits: Limits) -> CsvRows:
    header = _header(path, lines, [column.name for column in columns if column.required], limits)
    lines.columns = len(header)
    # without declared columns the caller reads the names, whose case may matter: data.None beside data.none
    names = [name.lower() for name in header] if columns else header
    _refuse_repeated(path, header, names)
    declared = [column.name for column in columns]
    free = [name for name in declared if name not in names]
    unused = [name + _hint(name, free) for name in header if name.lower() not in declared and name]
    table = CsvRows(path, names, unused=tuple(unused))
    _fill(table, iter(lines), [name for name in unique if name in names])
    return table


def _header(path: Path, lines: CsvLines, required: Sequence[str], limits: Limits) -> list[str]:
    """Read the header row, which comments may precede; it may begin with '#' itself."""
    header: list[str] = []
    for line in lines:
        if line.fault:
            raise InputError(f"{path}: in row {line.number}, the header, {line.fault}")
        if line.is_blank:
            continue
        header = [cell.strip() for cell in line.cells]
        if not header[0].startswith("#"):
            break
        header[0] = header[0].lstrip("# ")
        if {name.lower() for name in header} >= set(required) and (required or len(header) > 1):
            break
    refuse_many_columns(path, len(header), limits)
    _require(path, header, required)
    return header


def _require(path: Path, header: list[str], required: Sequence[str]) -> None:
    if not any(header):
        needed = ", ".join(required) or "the names of its columns"
        raise InputError(f"{path} is empty; it needs a header row with {needed}")
    separators = [name for mark, name in _SEPARATORS.items() if mark in header[0]]
    if len(header) == 1 and separators:
        raise InputError(f"{path} has {separators[0]} between its cells; save it with commas")
    lower = [name.lower() for name in header]
    for name in required:
        if name not in lower:
            likely = next((given for given in header if meant_column(given, [name])), None)
            mend = f"rename '{_shown(likely)}' to it" if likely else "add or rename it"
            raise InputError(f"{path} has no column '{name}' (it has {list_columns(header)}); {mend}")


def _refuse_repeated(path: Path, header: Sequence[str], names: Sequence[str]) -> None:
    repeated = [name for name, n in Counter(names).items() if n > 1]
    if repeated:
        raise InputError(
            f"{path} {_repeated([cell for cell, name in zip(header, names, strict=True) if name == repeated[0]])}"
        )


def _repeated(names: Sequence[str]) -> str:
    first, second = names[:2]
    if not first:
        return f"has {len(names)} columns without a name; name them, or take them out"
    if first == second:
        return f"has the column '{_shown(first)}' twice; keep one of them"
    return f"has the columns '{_shown(first)}' and '{_shown(second)}', which differ by case alone; keep one of them"


def _hint(name: str, declared: Sequence[str]) -> str:
    meant = meant_column(name, declared)
    return f" (is it {meant}? then rename it)" if meant else ""


def _refuse_other_kinds(path: Path, start: bytes) -> None:
    kind = next((kind for mark, kind in _OTHER_KINDS.items() if start.startswith(mark)), None)
    if kind is not None:
        raise InputError(
            f"{path} is {kind} and not a CSV text file; save it as CSV: UTF-8 text, commas between the cells, and a "
            "header row"
        )


def _place_of(path: Path, error: UnicodeDecodeError) -> str:
    """Say which row holds bytes that are not UTF-8, by a second look at the file; a pipe cannot be read again."""
    if path.is_file():
        with open(path, "rb") as file:
            for number, line in enumerate(file, 1):
                try:
                    line.decode("utf-8-sig")
                except UnicodeDecodeError as again:
                    byte = line[again.start]
                    return f"row {number} has the byte 0x{byte:02x}, as text in Latin-1 or Windows-1252 may"
    return in_one_line(error)


def _shown(text: str) -> str:
    return in_one_line(text, _LONGEST_CELL)


def _bounded(path: Path, file: TextIO, most_mb: int) -> Iterator[str]:
    """The lines, counted on the way, since a pipe does not state its size."""
    left = most_mb * 1_000_000
    while line := file.readline(left + 1):
        left -= len(line)
        if left < 0:
            raise InputError(
                f"{path} has more than {most_mb:,} MB, and is held in memory as a whole; split it into several tables, "
                "or raise limits.max_csv_mb in catbuilder.toml"
            )
        yield line


def _fill(table: CsvRows, lines: Iterator[CsvLine], unique: Sequence[str]) -> None:
    seen: dict[tuple[str, ...], CsvRow] = {}
    for line in lines:
        cells = dict(zip(table.columns, (from_spreadsheet(cell.strip()) for cell in line.cells), strict=False))
        row = CsvRow(line.number, cells)
        if line.fault:
            table.reject(row.number, cells, line.fault)
        elif line.is_blank:
            continue
        else:
            earlier = seen.setdefault(tuple(_plain(cells[name]) for name in unique), row)
            if unique and earlier is not row and cells.get("object_id"):
                reason = f"the same {' and '.join(unique)} is already in row {earlier.number}"
                table.reject(row.number, cells, reason, repeated=cells == earlier.cells)
            else:
                table.rows.append(row)


def _plain(text: str) -> str:
    """Drop leading zeros of a number: 007 and 7 are one id."""
    return text.lstrip("0") or "0" if text.isascii() and text.isdigit() else text
