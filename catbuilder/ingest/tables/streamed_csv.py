"""Stream an archive's CSV catalogue, of any size, into DuckDB.

For the small tables that users write themselves, with typed rows in Python, see `catbuilder.core.user_csv`.
"""

import csv
import io
import os
import re
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import numpy as np
import pyarrow as pa

from catbuilder.catalogue.connection import Connection, fetch_arrow, fetch_number, first_row, literal_path
from catbuilder.core.csv_rows import holds_rows
from catbuilder.core.errors import InputError
from catbuilder.core.resources import query
from catbuilder.core.settings import Limits
from catbuilder.ingest.tables.packed_file import UNPACKING_ERRORS, Unpacked, open_unpacked, packing
from catbuilder.ingest.tables.table_file import (
    FileColumn,
    Progress,
    Scan,
    TableChoice,
    TableFile,
    damaged_table,
    duckdb_progress,
    numbering_without,
)

_OTHER_MARKS = {";": "semicolons", "\t": "tabs", "|": "bars"}  # separators of files that are named .csv
_CHUNK_BYTES = 1 << 20
_SURPLUS_CELLS = 1000  # beyond those of the header; DuckDB rejects lines with fewer
_QUOTED = re.compile(rb'"[^"]*"')
_PLAIN_LINE = re.compile(r'(?:"[^"\n]*"|[^",\n]*)(?:,(?:"[^"\n]*"|[^",\n]*))*\r?\n?')
_COMMENTS = 100  # lines before the header that may be the header
_LONGEST_LINE = 4_000_000  # letters: DuckDB reads lines of up to 2 MB


@dataclass(frozen=True)
class _Header:
    """The names of a CSV file's columns, the lines before the first row, and whether quotes in these may mislead."""

    names: list[str]
    lines: int
    odd: bool


@dataclass
class _OddQuotes:
    """The first line after the header that has an odd number of quotes; None if there is none."""

    after: int
    first: int | None = None


class CsvFile(TableFile):
    """A CSV file as archives write it; a byte order mark and lines with '#' may precede the header.

    The header may itself begin with '#', as numpy.savetxt and astropy's commented header write it.
    """

    malformed = "ingest/malformed_csv_lines"
    typed = False

    def __init__(self, path: Path, limits: Limits, choice: TableChoice) -> None:
        header = _csv_header(path, choice)
        self._lines_before, self._odd_header = header.lines, header.odd
        self._odd_quotes = _OddQuotes(header.lines)  # a scan finds the line
        if len(header.names) == 1 and (
            found := next((name for mark, name in _OTHER_MARKS.items() if mark in header.names[0]), None)
        ):
            raise InputError(f"{path} has {found} between its cells; save it with commas")
        super().__init__(path, [FileColumn(name, "VARCHAR") for name in header.names], limits)

    @contextmanager
    def scan(self, con: Connection, names: Sequence[str], progress: Progress) -> Iterator[Scan]:
        """Read every cell as text; DuckDB rejects malformed lines.

        A compressed file is unpacked here and fed to DuckDB through a pipe: DuckDB tells gzip by the file's name, does
        not check its checksum, and refuses zero bytes behind it. That is no slower than to let DuckDB unpack it. A file
        with stray quotes before its first row goes the same way: DuckDB would skip rows up to the next quote.
        """
        values = {"skip": self._lines_before, "columns": {column.name: "VARCHAR" for column in self.columns}}
        source = f"({query('ingest/scan_csv')})"
        if not packing(self.path) and not self._odd_header:
            with open(self.path, "rb") as file:
                deque(_checked(self.path, file, len(self.columns), self._odd_quotes), maxlen=0)
            with duckdb_progress(con, progress):
                yield Scan(source, {"file": literal_path(self.path), **values})
            return
        with _piped(self.path, len(self.columns), self._odd_quotes) as pipe, duckdb_progress(con, progress):
            yield Scan(source, {"file": literal_path(Path(pipe)), **values})

    def check_whole(self, con: Connection, records: int) -> None:
        """Refuse a file with a quote that nothing ends, or that a later stray one ends, if it swallowed rows.

        Raises
        ------
        InputError
            Rows were lost, as the number of lines shows, or are text of a cell.
        """
        if self._odd_quotes.first is not None:
            _refuse_swallowed_rows(self.path, self._odd_quotes.first, len(self.columns))
        text = "SELECT min(line) FROM reject_errors WHERE error_type = 'UNQUOTED VALUE'"
        row = first_row(con, text)
        if row is None or row[0] is None:
            return
        lines = sum(number > self._lines_before and not blank for number, blank in _lines(self.path))
        lost = lines - records - fetch_number(con, "SELECT count(*) FROM malformed")
        if lost > 0:
            raise InputError(
                f"{self.path}: in row {row[0]} a quoted cell does not end, and {lost:,} rows after it cannot be "
                "separated; close the quote or remove it"
            )

    def numbering(self, con: Connection) -> pa.Table:
        """Number the rows by lines as a text editor counts, with malformed and blank ones."""
        malformed = fetch_arrow(con, "SELECT row FROM malformed").column(0).to_numpy()
        blank = (number for number, is_blank in _lines(self.path) if number > self._lines_before and is_blank)
        skipped = np.union1d(malformed, np.fromiter(blank, np.int64))
        return numbering_without(self.path, self._lines_before, skipped)


def _checked(path: Path, file: Unpacked, columns: int, odd_quotes: _OddQuotes) -> Iterator[bytes]:
    """Give the bytes of a file part by part, and refuse a line of far too many cells before it is given.

    The first line with an odd number of quotes goes into `odd_quotes`. Lines before the first row lose their quotes.
    DuckDB's time grows with the square of the surplus cells: 15 s and 1.2 GB for a line of 40,000.
    """
    most = columns + _SURPLUS_CELLS
    number, cells, quotes = 1, 0, 0
    while part := file.readline(_CHUNK_BYTES):
        quotes += part.count(b'"')
        if len(part) > most:
            cells += _QUOTED.sub(b"", part).count(b",")
        if cells > most:
            raise InputError(
                f"row {number:,} of {path} has more than {most:,} cells where the header has {columns:,}; "
                "remove it, or fetch the file again"
            )
        yield part if number > odd_quotes.after else part.replace(b'"', b"")
        if part.endswith(b"\n"):
            if quotes % 2 and odd_quotes.first is None and number > odd_quotes.after:
                odd_quotes.first = number
            number, cells, quotes = number + 1, 0, 0
    # in a last line without a line break, an odd number can only end a cell that began in an earlier such line


@contextmanager
def _piped(path: Path, columns: int, odd_quotes: _OddQuotes) -> Iterator[str]:
    """Unpack a file into a pipe while the body runs, and give the pipe's path.

    Raises
    ------
    InputError
        At the end: the file is damaged, or a line has far too many cells.
    """
    reading, writing = os.pipe()
    errors: list[InputError] = []

    def feed() -> None:
        try:
            with suppress(BrokenPipeError), open(writing, "wb", _CHUNK_BYTES) as out, open_unpacked(path) as file:
                out.writelines(_checked(path, file, columns, odd_quotes))  # until DuckDB stops reading; it says why
        except InputError as error:
            errors.append(error)
        except UNPACKING_ERRORS:
            errors.append(damaged_table(path))

    thread = threading.Thread(target=feed, daemon=True)
    thread.start()
    try:
        yield f"/dev/fd/{reading}"
    finally:
        os.close(reading)
        thread.join()
        if errors:
            raise errors[0]


def _refuse_swallowed_rows(path: Path, first: int, columns: int) -> None:
    """Refuse a file with a quoted cell that runs over lines which look like rows, up to a later stray quote.

    Such a cell begins and ends on lines with an odd number of quotes, of which `first` is the first; to DuckDB it is a
    cell like any other.
    """
    taken, length = list[str](), 0
    with _opened_text(path) as file:
        for number, line in enumerate(iter(lambda: file.readline(_LONGEST_LINE), ""), 1):
            is_odd = number >= first and line.count('"') % 2 == 1
            if not taken and not is_odd:
                continue
            taken.append(line)
            length += len(line)
            if len(taken) > 1 and is_odd:
                is_row = _is_one_row(taken, columns)
                if is_row and holds_rows(taken, columns):
                    raise InputError(
                        f"{path}: in row {number + 1 - len(taken)} a quoted cell runs on to row {number}, over lines "
                        "that look like rows; is a quote missing or too many?"
                    )
                taken, length = ([], 0) if is_row else ([line], len(line))  # a stray quote before the cell's first
            elif length > _LONGEST_LINE:
                taken, length = [], 0


def _is_one_row(lines: Sequence[str], columns: int) -> bool:
    try:
        return [len(cells) for cells in csv.reader(lines, strict=True)] == [columns]
    except csv.Error:
        return False


def _opened_text(path: Path) -> TextIO:
    # DuckDB rejects lines that are not UTF-8; here lines are only counted
    return io.TextIOWrapper(open_unpacked(path), encoding="utf-8-sig", errors="replace", newline="\n")


def _lines(path: Path) -> Iterator[tuple[int, bool]]:
    """The number of each line and whether it is blank, in little memory whatever the length of a line."""
    with _opened_text(path) as file:
        number, blank = 1, True
        while part := file.readline(_CHUNK_BYTES):
            blank = blank and part.isspace()
            if part.endswith("\n"):
                yield number, blank
                number, blank = number + 1, True
            elif len(part) < _CHUNK_BYTES:
                yield number, blank


def _csv_header(path: Path, choice: TableChoice) -> _Header:
    """Find the header: the first line without '#', or the last before it if that one alone has the columns."""
    commented: deque[str] = deque(maxlen=_COMMENTS)
    try:
        with _opened_text(path) as file:
            number, odd = 0, False
            while line := file.readline(_LONGEST_LINE + 1):
                number += 1
                if len(line) > _LONGEST_LINE:
                    raise InputError(
                        f"{path} has a line of more than {_LONGEST_LINE:,} letters; save it with one row per line"
                    )
                if "\x00" in line:
                    raise InputError(
                        f"{path} is not a CSV text file (it has zero bytes, as UTF-16 text has); save it as UTF-8 CSV "
                        "with a header row"
                    )
                if "\r" in line.rstrip("\r\n"):
                    raise InputError(
                        f"{path} ends its lines with carriage returns alone, as old Macintosh programs do; save it "
                        "with the line ends of Linux or Windows"
                    )
                odd = odd or not (_PLAIN_LINE.fullmatch(line) or (line.startswith("#") and '"' not in line))
                if line.startswith("#"):
                    commented.append(line.lstrip("#"))
                elif line.strip():
                    names = _names(line)
                    if not choice.fits(names):
                        above = map(_names, reversed(commented))
                        header = next((one for one in above if len(one) == len(names) and choice.fits(one)), None)
                        if header:
                            return _Header(header, number - 1, odd)
                    return _Header(names, number, odd)
    except (*UNPACKING_ERRORS, csv.Error) as error:
        raise InputError(f"{path} cannot be read as CSV ({error}); fetch or save it again") from None
    raise InputError(f"{path} is empty; it needs a header row with the names of the columns")


def _names(line: str) -> list[str]:
    return [cell.strip() or f"column {place}" for place, cell in enumerate(next(csv.reader([line]), []), 1)]
