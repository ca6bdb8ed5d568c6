"""Read a small CSV table into memory: typed rows by declared columns, and rejected rows with their reasons.

This reader is for the tables that users write themselves: labels, test sets, lists of images. Each cell is parsed in
Python, and a table above `limits.max_csv_mb` is refused. For the archives' catalogues, of any size, see
`catbuilder.ingest.tables.streamed_csv`, where DuckDB streams the rows.
"""

import csv
import hashlib
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TextIO

from catbuilder.core.errors import InputError
from catbuilder.core.safe_text import from_spreadsheet, in_one_line, is_number
from catbuilder.core.settings import Limits

_INT64_MAX = 2**63 - 1
_MOST_DIGITS = 4000  # Python makes no number of more than 4,300
_LONGEST_CELL = 60  # letters of a cell that a reason repeats
_LONGEST_REASON = 500
_LONGEST_REJECTION = 1000  # letters
_LISTED_COLUMNS = 20
_LISTED_ROWS = 20


@dataclass(frozen=True)
class Rejection:
    """A row that was left out: its file, its row number and the reason."""

    file: str
    row: int  # as a text editor counts: the header is row 1
    object_id: str
    reason: str

    def __str__(self) -> str:
        return f"{self.file}, row {self.row} (object_id {self.object_id or 'empty'}): {self.reason}"


class BadValue(ValueError):
    """A cell that cannot be used. Its message, always one line, becomes the reason of a `Rejection`."""

    def __str__(self) -> str:
        return in_one_line(super().__str__(), _LONGEST_REASON)


@dataclass(frozen=True)
class CsvColumn:
    """Declare a column of a CSV table.

    Attributes
    ----------
    name : as in the header row
    parse : turns the text of a cell into its value; raises `BadValue` for a text that cannot be used
    required : whether the table must have the column. Without it, an absent column or an empty cell gives None; with
        it, `parse` sees the empty text too
    """

    name: str
    parse: Callable[[str], Any] = str
    required: bool = False


@dataclass(frozen=True)
class CsvRow:
    """One row: `row["ra"]` is the value of a declared column, `cells` has the texts of all columns."""

    number: int  # as a text editor counts: the header is row 1
    cells: dict[str, str]
    values: dict[str, Any] = field(default_factory=dict)

    def __getitem__(self, column: str) -> Any:
        return self.values[column]


@dataclass
class CsvRows:
    """The good rows of a CSV file, and its rejected ones."""

    path: Path
    columns: list[str]  # of the header
    rows: list[CsvRow] = field(default_factory=list)
    rejections: list[Rejection] = field(default_factory=list)

    def reject(self, row: int, cells: dict[str, str], reason: str) -> None:
        """List a row among the rejections."""
        self.rejections.append(Rejection(str(self.path), row, cells.get("object_id", ""), reason))

    def parse(self, columns: Sequence[CsvColumn]) -> None:
        """Parse the cells of every row; rows with a bad cell move to the rejections."""
        rows, self.rows = self.rows, []
        for row in rows:
            try:
                self.rows.append(CsvRow(row.number, row.cells, parse_cells(row.cells, columns)))
            except BadValue as error:
                self.reject(row.number, row.cells, str(error))


def read_table(
    path: Path,
    columns: Sequence[CsvColumn],
    *,
    unique: Sequence[str] = ("object_id",),
    limits: Limits | None = None,
    delimiter: str = ",",
) -> CsvRows:
    """Read a CSV file (UTF-8, with or without a byte order mark) into typed rows.

    Rows with a bad cell, a wrong number of cells or a repeated id are rejected. Columns that are not declared are
    kept as text.

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
    required = [column.name for column in columns if column.required]
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            lines = _numbered(_bounded(path, file, limits.max_csv_mb), delimiter)
            header = [name.strip() for name in next(lines, (1, []))[1]]
            refuse_many_columns(path, len(header), limits)
            _require(path, header, required)
            table = CsvRows(path, header)
            _fill(table, lines, [name for name in unique if name in header])
    except FileNotFoundError:
        raise InputError(f"there is no table {path}; give the path of a CSV file with a header row") from None
    except IsADirectoryError:
        raise InputError(f"{path} is a folder; give the path of a CSV file with a header row") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); give the path of a CSV file") from None
    except (UnicodeDecodeError, csv.Error) as error:
        reason = in_one_line(error)
        raise InputError(f"{path} is not a CSV text file ({reason}); save it as UTF-8 CSV with a header row") from None
    except ValueError as error:  # a zero byte in the path
        raise InputError(f"{in_one_line(path)} cannot be the path of a file ({error}); give a CSV file") from None
    if not table.rows and not table.rejections:
        raise InputError(f"{path} has a header but no rows; add rows, or give another table")
    table.parse(columns)
    return table


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


def list_rejections(rejections: Sequence[Rejection]) -> list[str]:
    """List the first twenty rejected rows and their reasons, a line each, for a terminal."""
    if not rejections:
        return []
    return [
        f"{len(rejections)} row{'s' if len(rejections) > 1 else ''} could not be used:",
        *(f"  {in_one_line(rejection, _LONGEST_REJECTION)}" for rejection in rejections[:_LISTED_ROWS]),
        *see_the_rest(len(rejections), "SELECT * FROM rejections"),
    ]


def see_the_rest(n: int, query: str) -> list[str]:
    """Name the SQL query that shows all `n` rows of a list, if only the first twenty were listed."""
    if n <= _LISTED_ROWS:
        return []
    return [f'  ... and {n - _LISTED_ROWS} more; see them all with: catbuilder sql "{query}"']


def parse_object_id(text: str) -> tuple[int, str | None]:
    """Parse an id: the survey's number, and the text if it is not a number.

    A text id becomes a 63-bit hash that is the same on every machine (BLAKE2b).
    """
    if not text:
        raise BadValue("object_id is empty; every row needs one")
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


def choice_column(name: str, choices: Sequence[str]) -> CsvColumn:
    """Declare a column whose cells are one of a few words, or empty."""
    return CsvColumn(name, partial(_parse_choice, name, choices))


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


def _parse_choice(column: str, choices: Sequence[str], text: str) -> str:
    if text not in choices:
        raise BadValue(f"unknown {column} '{_shown(text)}'; use {', '.join(choices)}")
    return text


def _parse_class(classes: Sequence[str], text: str) -> str:
    if not text:
        raise BadValue(f"label is empty; fill in one of {', '.join(classes)}")
    if text not in classes:
        raise BadValue(f"unknown class '{_shown(text)}'; this workspace has {', '.join(classes)}")
    return text


def _require(path: Path, columns: list[str], required: Sequence[str]) -> None:
    if not any(columns):
        raise InputError(f"{path} is empty; it needs a header row with {', '.join(required)}")
    for name in required:
        if name not in columns:
            raise InputError(f"{path} has no column '{name}' (it has {list_columns(columns)}); add or rename it")
    repeated = [name for name, n in Counter(columns).items() if n > 1]
    if repeated:
        raise InputError(f"{path} has the column '{_shown(repeated[0])}' twice; keep one of them")


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


def _numbered(file: Iterator[str], delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Each row, the header included, with the number of its first line: a quoted cell may hold line breaks."""
    csv.field_size_limit(sys.maxsize)  # a drawing in an export takes millions of letters; `_bounded` limits the whole
    reader = csv.reader(file, delimiter=delimiter)
    first = 1
    for cells in reader:
        yield first, cells
        first = reader.line_num + 1


def _fill(table: CsvRows, lines: Iterator[tuple[int, list[str]]], unique: Sequence[str]) -> None:
    seen: dict[tuple[str, ...], int] = {}
    for row, line in lines:
        if not any(cell.strip() for cell in line):
            continue
        cells = dict(zip(table.columns, (from_spreadsheet(cell.strip()) for cell in line), strict=False))
        if len(line) != len(table.columns):
            table.reject(row, cells, f"it has {len(line)} cells where the header has {len(table.columns)}")
            continue
        key = tuple(_plain(cells[name]) for name in unique)
        if unique and cells.get("object_id") and key in seen:
            table.reject(row, cells, f"the same {' and '.join(unique)} is already in row {seen[key]}")
            continue
        seen[key] = row
        table.rows.append(CsvRow(row, cells))


def _plain(text: str) -> str:
    """Drop leading zeros of a number: 007 and 7 are one id."""
    return text.lstrip("0") or "0" if text.isascii() and text.isdigit() else text
