"""Stream an archive's CSV catalogue, of any size, into DuckDB.

For the small tables that users write themselves, with typed rows in Python, see `catbuilder.core.user_csv`.
"""

import csv
import gzip
import re
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO, cast

import numpy as np
import pyarrow as pa

from catbuilder.catalogue.connection import Connection, fetch_arrow, fetch_number, first_row, literal_path
from catbuilder.core.errors import InputError
from catbuilder.core.resources import query
from catbuilder.core.settings import Limits
from catbuilder.ingest.tables.table_file import (
    FileColumn,
    Progress,
    Scan,
    TableFile,
    damaged_table,
    duckdb_progress,
    row_numbering,
)

_OTHER_MARKS = {";": "semicolons", "\t": "tabs", "|": "bars"}  # separators of files that are named .csv
_CHUNK_BYTES = 1 << 20
_SURPLUS_CELLS = 1000  # beyond those of the header; DuckDB rejects lines with fewer
_QUOTED = re.compile(rb'"[^"]*"')
_LONGEST_LINE = 4_000_000  # letters: DuckDB reads lines of up to 2 MB


class CsvFile(TableFile):
    """A CSV file as archives write it; a byte order mark and lines with '#' may precede the header."""

    malformed = "ingest/malformed_csv_lines"
    typed = False

    def __init__(self, path: Path, limits: Limits) -> None:
        header, self._header_line = _csv_header(path)
        if len(header) == 1 and (
            found := next((name for mark, name in _OTHER_MARKS.items() if mark in header[0]), None)
        ):
            raise InputError(f"{path} has {found} between its cells; save it with commas")
        names = [cell.strip() or f"column {place}" for place, cell in enumerate(header, 1)]
        super().__init__(path, [FileColumn(name, "VARCHAR") for name in names], limits)

    @contextmanager
    def scan(self, con: Connection, names: Sequence[str], progress: Progress) -> Iterator[Scan]:
        """Read every cell as text; DuckDB rejects malformed lines."""
        _refuse_surplus_cells(self.path, len(self.columns))
        with duckdb_progress(con, progress):
            yield Scan(
                f"({query('ingest/scan_csv')})",
                {"file": literal_path(self.path), "skip": self._header_line,
                 "columns": {column.name: "VARCHAR" for column in self.columns}},
            )  # fmt: skip

    def check_whole(self, con: Connection, records: int) -> None:
        """Refuse a file with a quoted cell that does not end, if DuckDB skipped rows after it without listing them.

        Raises
        ------
        InputError
            Rows were lost, as the number of lines shows.
        """
        text = "SELECT min(line) FROM reject_errors WHERE error_type = 'UNQUOTED VALUE'"
        row = first_row(con, text)
        if row is None or row[0] is None:
            return
        lines = sum(number > self._header_line and not blank for number, blank in _lines(self.path))
        lost = lines - records - fetch_number(con, "SELECT count(*) FROM malformed")
        if lost > 0:
            raise InputError(
                f"{self.path}: in row {row[0]} a quoted cell does not end, and {lost:,} rows after it cannot be "
                "separated; close the quote or remove it"
            )

    def numbering(self, con: Connection) -> pa.Table:
        """Number the rows by lines as a text editor counts, with malformed and blank ones."""
        malformed = fetch_arrow(con, "SELECT row FROM malformed").column(0).to_numpy()
        blank = [number for number, is_blank in _lines(self.path) if number > self._header_line and is_blank]
        skipped = np.union1d(malformed, np.array(blank, np.int64)).astype(np.int64)
        rows = np.concatenate([[self._header_line], skipped]) + 1
        firsts = rows - self._header_line - 1 - np.arange(len(rows))
        # of consecutive skipped lines, the last one gives the line of the next record
        last = np.append(firsts[1:] != firsts[:-1], True)
        return row_numbering(firsts[last], [str(self.path)] * int(last.sum()), rows[last])


def _refuse_surplus_cells(path: Path, columns: int) -> None:
    """Refuse a file with a line of far too many cells, or with a wrong gzip checksum.

    DuckDB's time grows with the square of the surplus cells: 15 s and 1.2 GB for a line of 40,000. And it does not
    check the gzip checksum.
    """
    most = columns + _SURPLUS_CELLS
    try:
        with gzip.open(path) if path.name.lower().endswith(".gz") else open(path, "rb") as file:
            number, cells = 1, 0
            while part := file.readline(_CHUNK_BYTES):
                if len(part) > most:
                    cells += _QUOTED.sub(b"", part).count(b",")
                if cells > most:
                    raise InputError(
                        f"row {number:,} of {path} has more than {most:,} cells where the header has {columns:,}; "
                        "remove it, or fetch the file again"
                    )
                if part.endswith(b"\n"):
                    number, cells = number + 1, 0
    except (OSError, EOFError, zlib.error):
        raise damaged_table(path) from None


def _opened_text(path: Path) -> TextIO:
    # DuckDB rejects lines that are not UTF-8; here lines are only counted
    if path.name.lower().endswith(".gz"):
        return cast(TextIO, gzip.open(path, "rt", encoding="utf-8-sig", errors="replace", newline="\n"))
    return open(path, encoding="utf-8-sig", errors="replace", newline="\n")


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


def _csv_header(path: Path) -> tuple[list[str], int]:
    """The header's cells and its line number (the first is 1)."""
    try:
        with _opened_text(path) as file:
            number = 0
            while line := file.readline(_LONGEST_LINE + 1):
                number += 1
                if len(line) > _LONGEST_LINE:
                    raise InputError(
                        f"{path} has a line of more than {_LONGEST_LINE:,} letters; save it with one row per line"
                    )
                if "\x00" in line:
                    raise InputError(f"{path} is not a CSV text file; save it as UTF-8 CSV with a header row")
                if line.strip() and not line.startswith("#"):
                    return next(csv.reader([line])), number
    except (OSError, EOFError, zlib.error, csv.Error) as error:
        raise InputError(f"{path} cannot be read as CSV ({error}); fetch or save it again") from None
    raise InputError(f"{path} is empty; it needs a header row with the names of the columns")
