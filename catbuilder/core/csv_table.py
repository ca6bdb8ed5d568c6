"""Read a user's CSV table: every row is either accepted, or rejected with its row number and a reason."""

import csv
import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from catbuilder.core.errors import InputError
from catbuilder.core.safe_text import from_spreadsheet, in_one_line, is_number
from catbuilder.core.settings import Limits

_INT64_MAX = 2**63 - 1
_MAX_DIGITS = 4000  # Python converts no text of more than 4,300 digits
_MAX_CELL = 60  # characters of a cell that a reason repeats
_MAX_REASON = 500  # characters
_MAX_LISTED = 20  # columns that a message names


@dataclass(frozen=True)
class Rejection:
    """A row that was left out: its file, its row number, its object and the reason."""

    file: str
    row: int  # as a text editor counts: the header is row 1
    object_id: str
    reason: str

    def __str__(self) -> str:
        return f"{self.file}, row {self.row} (object_id {self.object_id or 'empty'}): {self.reason}"


class BadValue(ValueError):
    """A cell that cannot be used. Its message becomes the reason of a Rejection, and is always one line."""

    def __str__(self) -> str:
        return in_one_line(super().__str__(), _MAX_REASON)


@dataclass
class CsvRows:
    """Rows of a CSV file, one dict a row with stripped cells, and the rejected rows."""

    path: Path
    columns: list[str]
    rows: list[tuple[int, dict[str, str]]] = field(default_factory=list)  # (row number, cells)
    rejections: list[Rejection] = field(default_factory=list)

    def reject(self, row: int, cells: dict[str, str], reason: str) -> None:
        """Add a row to the rejections."""
        self.rejections.append(Rejection(str(self.path), row, cells.get("object_id", ""), reason))


def read_table(
    path: Path, required: Sequence[str], *, unique: Sequence[str] = ("object_id",), limits: Limits | None = None
) -> CsvRows:
    """Read a CSV file (UTF-8, with or without a byte order mark).

    Parameters
    ----------
    required : columns that the file must have
    unique : columns whose values together must not repeat
    limits : largest size and largest number of columns; the whole file is held in memory

    Raises
    ------
    InputError
        No such file, not a CSV text, too large, a required column is missing, or no row at all.
    """
    limits = limits or Limits()
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            lines = _numbered(_bounded(path, file, limits.max_csv_mb))
            columns = [name.strip() for name in next(lines, (1, []))[1]]
            refuse_many_columns(path, len(columns), limits)
            _require(path, columns, required)
            table = CsvRows(path, columns)
            _fill(table, lines, [name for name in unique if name in columns])
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
        raise InputError(f"{path} has a header but no rows; add rows to it")
    return table


def refuse_many_columns(path: Path, columns: int, limits: Limits) -> None:
    """Raise InputError if a table has more than `limits.max_columns` columns: each costs memory."""
    if columns > limits.max_columns:
        raise InputError(
            f"{path} has {columns:,} columns, above the limit of {limits.max_columns:,}; keep only the columns that "
            "are needed, or raise limits.max_columns in catbuilder.toml"
        )


def list_columns(columns: Sequence[str]) -> str:
    """List the names of columns for a message, at most twenty."""
    more = [f"and {len(columns) - _MAX_LISTED:,} more"] if len(columns) > _MAX_LISTED else []
    return ", ".join([*(_shown(name) for name in columns[:_MAX_LISTED]), *more])


def parse_object_id(text: str) -> tuple[int, str | None]:
    """Parse an object id: give its number, and its text if it is not a number.

    A text id becomes a 63-bit hash (BLAKE2b), the same on every machine.

    Raises
    ------
    BadValue
        The id is empty, does not fit 64 bits, or is a number but not a whole positive one.
    """
    if not text:
        raise BadValue("object_id is empty; every row needs one")
    if text.isascii() and text.isdigit():
        if len(text) > _MAX_DIGITS or int(text) > _INT64_MAX:
            raise BadValue(f"object_id {_shown(text)} does not fit 64 bits; give it as text with a letter in it")
        return int(text), None
    if is_number(text):  # such as 5.87724E+17: an id that a spreadsheet has rounded
        raise BadValue(
            f"object_id {_shown(text)} is not a whole positive number; was the table saved by a spreadsheet?"
        )
    digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") & _INT64_MAX, text


def parse_number(cells: dict[str, str], column: str, low: float, high: float) -> float | None:
    """Parse a number in [low, high]; give None if the cell is empty, nan, null or none."""
    text = cells.get(column, "")
    if text.lower() in ("", "nan", "null", "none"):
        return None
    try:
        value = float(text)
    except ValueError:
        raise BadValue(f"{column} is '{_shown(text)}', which is not a number") from None
    if not low <= value <= high:
        raise BadValue(f"{column} is {_shown(text)}, outside {low:g} to {high:g}")
    return value


def parse_class(text: str, classes: Sequence[str]) -> str:
    """Check that a label is one of the workspace's classes."""
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
    return in_one_line(text, _MAX_CELL)


def _bounded(path: Path, file: TextIO, most_mb: int) -> Iterator[str]:
    """Yield the lines and stop with an error after `most_mb` MB: a pipe, for example, does not tell its size."""
    left = most_mb * 1_000_000
    while line := file.readline(left + 1):
        left -= len(line)
        if left < 0:
            raise InputError(
                f"{path} is larger than {most_mb:,} MB, and is held in memory as a whole; split it into several "
                "tables, or raise limits.max_csv_mb in catbuilder.toml"
            )
        yield line


def _numbered(file: Iterator[str]) -> Iterator[tuple[int, list[str]]]:
    """Yield every row, header included, with the line on which it begins: a quoted cell may hold line breaks."""
    reader = csv.reader(file)
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
        if cells.get("object_id") and key in seen:
            table.reject(row, cells, f"the same {' and '.join(unique)} stands already in row {seen[key]}")
            continue
        seen[key] = row
        table.rows.append((row, cells))


def _plain(text: str) -> str:
    """Drop leading zeros of a number: 007 and 7 are the same id. Text keeps its zeros."""
    return text.lstrip("0") or "0" if text.isascii() and text.isdigit() else text
