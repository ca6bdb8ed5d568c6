"""Stream Parquet catalogues into DuckDB: one file, a folder or pattern of parts, or a HATS catalogue."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa

from catbuilder.catalogue.connection import Connection, literal_path
from catbuilder.core.errors import InputError
from catbuilder.core.resources import query
from catbuilder.core.settings import Limits
from catbuilder.ingest.tables.parquet_columns import Footer, read_footer, stated_frame, unite
from catbuilder.ingest.tables.table_file import (
    FileColumn,
    Progress,
    Scan,
    TableFile,
    duckdb_progress,
    folded_name,
    row_numbering,
)


class ParquetFiles(TableFile):
    """One Parquet file, or the parts of a table, which may hold a column in different types."""

    def __init__(self, path: Path, parts: Sequence[Path], limits: Limits) -> None:
        footers = [read_footer(part) for part in parts]
        self._alike = _by_columns(footers)
        self._in_order = [footer for group in self._alike for footer in group]
        self.frame = stated_frame(footers)
        super().__init__(path, unite(footers), limits)

    @property
    def bytes(self) -> int:
        """Size of all parts on the disk."""
        return sum(footer.part.stat().st_size for footer in self._in_order)

    @contextmanager
    def scan(self, con: Connection, names: Sequence[str], progress: Progress) -> Iterator[Scan]:
        """Read the rows of all parts, one part after the other."""
        wanted = [column for column in self.columns if column.name in names]
        for column in wanted:
            if column.fault:
                raise InputError(f"column {column.name} of {self.path} {column.fault}; give parts of one table")
        scans = [
            query("ingest/scan_parquet").format(columns=_cells(wanted, group[0].masks), files=f"files_{place}")
            for place, group in enumerate(self._alike)
        ]
        files: dict[str, object] = {
            f"files_{place}": [literal_path(footer.part) for footer in group] for place, group in enumerate(self._alike)
        }
        with duckdb_progress(con, progress):
            yield Scan(f"({' UNION ALL '.join(scans)})", files)

    def numbering(self, con: Connection) -> pa.Table:
        """Number the rows from 1 in each part."""
        # an empty part begins where the next one does, and would give its name to the rows of that one
        parts = [footer for footer in self._in_order if footer.rows]
        firsts = np.concatenate([[0], np.cumsum([footer.rows for footer in parts])[:-1]])
        return row_numbering(firsts, [str(footer.part) for footer in parts], [1] * len(parts))


def _by_columns(footers: Sequence[Footer]) -> list[list[Footer]]:
    """Group parts whose columns have the same types: DuckDB reads those in one scan."""
    groups: dict[frozenset[tuple[str, str | None]], list[Footer]] = {}
    for footer in footers:
        groups.setdefault(frozenset([*footer.types.items(), *footer.masks.items()]), []).append(footer)
    return list(groups.values())


def _cells(columns: Sequence[FileColumn], masks: Mapping[str, str]) -> str:
    """Write SQL of the columns, in the type of all parts together, NULL where a mask says so."""
    masks = {folded_name(name): mask for name, mask in masks.items()}
    cells = []
    for column in columns:
        cell = name = _quoted(column.name)
        if mask := masks.get(folded_name(column.name)):
            cell = f"CASE WHEN NOT {_quoted(mask)} THEN {name} END"
        cells.append(f"CAST({cell} AS {column.type}) AS {name}" if column.type else name)
    return ", ".join(cells) or "1"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
