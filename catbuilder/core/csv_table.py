"""CSV tables that users bring: every row is either good, or rejected with its row number and a reason."""

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
_MOST_DIGITS = 4000  # Python makes no number of more than 4,300
_LONGEST_CELL = 60  # letters of a cell that a reason repeats
_LONGEST_REASON = 500
_TOLD_COLUMNS = 20


@dataclass(frozen=True)
class Rejection:
    """A row that was left out, where it stands, and why."""

    file: str
    row: int  # as a text editor counts: the header is row 1
    object_id: str
    reason: str

    def __str__(self) -> str:
        return f"{self.file}, row {self.row} (object_id {self.object_id or 'empty'}): {self.reason}"


class BadValue(ValueError):
    """A cell that cannot be used; becomes the reason of a Rejection, which is one line whatever stands in the cell."""

    def __str__(self) -> str:
        return in_one_line(super().__str__(), _LONGEST_REASON)


@dataclass
class CsvRows:
    """Rows of a CSV file, one dict a row with stripped cells; rows with a bad or repeated id are set aside."""

    path: Path
    columns: list[str]
    rows: list[tuple[int, dict[str, str]]] = field(default_factory=list)  # (row number, cells)
    rejections: list[Rejection] = field(default_factory=list)

    def reject(self, row: int, cells: dict[str, str], reason: str) -> None:
        """Set a row aside."""
        self.rejections.append(Rejection(str(self.path), row, cells.get("object_id", ""), reason))


def read_table(
    path: Path, required: Sequence[str], *, unique: Sequence[str] = ("object_id",), limits: Limits | None = None
) -> CsvRows:
    """Read a CSV file (UTF-8, with or without a byte order mark).

    Parameters
    ----------
    required : columns without which the file is of no use
    unique : columns that together may stand only once
    limits : of its bytes and its columns, since it is held in memory as a whole

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
        raise InputError(f"{path} has a header but no rows; there is nothing to load from it")
    return table


def refuse_many_columns(path: Path, columns: int, limits: Limits) -> None:
    """Raise InputError for a table wider than `limits.max_columns`: it costs memory by the column, and is a mistake."""
    if columns > limits.max_columns:
        raise InputError(
            f"{path} has {columns:,} columns, above the limit of {limits.max_columns:,}; give the columns that are "
            "needed, or raise limits.max_columns in catbuilder.toml"
        )


def told_columns(columns: Sequence[str]) -> str:
    """Names of columns for a message: the first twenty."""
    more = [f"and {len(columns) - _TOLD_COLUMNS:,} more"] if len(columns) > _TOLD_COLUMNS else []
    return ", ".join([*(_shown(name) for name in columns[:_TOLD_COLUMNS]), *more])


def parse_object_id(text: str) -> tuple[int, str | None]:
    """An id as the survey numbers it, and the text if it is not a number.

    A text id becomes a 63-bit hash that is the same everywhere and always (BLAKE2b).
    """
    if not text:
        raise BadValue("object_id is empty; every row needs one")
    if text.isascii() and text.isdigit():
        if len(text) > _MOST_DIGITS or int(text) > _INT64_MAX:
            raise BadValue(f"object_id {_shown(text)} does not fit 64 bits; give it as text with a letter in it")
        return int(text), None
    if is_number(text):  # 5.87724E+17 once was an id, before a spreadsheet rounded it
        raise BadValue(
            f"object_id {_shown(text)} is not a whole positive number; was the table saved by a spreadsheet?"
        )
    digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") & _INT64_MAX, text


def parse_number(cells: dict[str, str], column: str, low: float, high: float) -> float | None:
    """A number in [low, high], or None where the cell is empty or not a number by name (nan, null)."""
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
    """A label that is one of the workspace's classes."""
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
            raise InputError(f"{path} has no column '{name}' (it has {told_columns(columns)}); add or rename it")
    repeated = [name for name, n in Counter(columns).items() if n > 1]
    if repeated:
        raise InputError(f"{path} has the column '{_shown(repeated[0])}' twice; keep one of them")


def _shown(text: str) -> str:
    return in_one_line(text, _LONGEST_CELL)


def _bounded(path: Path, file: TextIO, most_mb: int) -> Iterator[str]:
    """The lines, as long as all of them together are no more than so many MB; what is no plain file says no size."""
    left = most_mb * 1_000_000
    while line := file.readline(left + 1):
        left -= len(line)
        if left < 0:
            raise InputError(
                f"{path} has more than {most_mb:,} MB, and is held in memory as a whole; cut it into several tables, "
                "or raise limits.max_csv_mb in catbuilder.toml"
            )
        yield line


def _numbered(file: Iterator[str]) -> Iterator[tuple[int, list[str]]]:
    """Every row, the header too, with the line it begins on: a quoted cell may hold line breaks."""
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
    """007 and 7 are one id; a text keeps its zeros."""
    return text.lstrip("0") or "0" if text.isascii() and text.isdigit() else text
