"""Read CSV tables that people bring."""

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

from catbuilder.catalogue.connection import Connection, fetch_arrow, fetch_number, first_row
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

_OTHER_MARKS = {";": "semicolons", "\t": "tabs", "|": "bars"}  # what files called CSV have for commas
_CHUNK_BYTES = 1 << 20
_SURPLUS_CELLS = 1000  # beyond those of the header: the others of a line are named one by one
_QUOTED = re.compile(rb'"[^"]*"')
_LONGEST_LINE = 4_000_000  # letters: DuckDB reads lines of up to 2 MB


class CsvFile(TableFile):
    """CSV as the archives write it: '#' lines may stand before the header, a byte order mark before those."""

    malformed = "ingest/malformed_csv_lines"
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
        _refuse_surplus_cells(self.path, len(self.columns))
        with duckdb_progress(con, progress):
            yield Scan(
                f"({query('ingest/scan_csv')})",
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
        return row_numbering(firsts[last], [str(self.path)] * int(last.sum()), rows[last])


def _refuse_surplus_cells(path: Path, columns: int) -> None:
    """Read the file once, for a line of far more cells than the header has and, if packed, for a wrong checksum.

    DuckDB spends time that grows with the square of such cells, 15 s and 1.2 GB on a line of 40,000; and it does not
    look at the checksum of gzip.
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
                        f"row {number:,} of {path} has more than {most:,} cells where the header has {columns:,}; take "
                        "it out, or fetch the file again"
                    )
                if part.endswith(b"\n"):
                    number, cells = number + 1, 0
    except (OSError, EOFError, zlib.error):
        raise damaged_table(path) from None


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
