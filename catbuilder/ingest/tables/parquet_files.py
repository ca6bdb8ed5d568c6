"""Stream Parquet catalogues into DuckDB: one file, or a folder or glob of parts."""

import glob
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from catbuilder.catalogue.connection import Connection, literal_path
from catbuilder.core.errors import InputError
from catbuilder.core.resources import query
from catbuilder.core.safe_text import in_one_line
from catbuilder.core.settings import Limits
from catbuilder.ingest.tables.table_file import (
    FileColumn,
    Progress,
    Scan,
    TableFile,
    duckdb_progress,
    row_numbering,
    sql_type,
    unit_text,
)


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
        """Read the rows of all parts, one part after the other."""
        with duckdb_progress(con, progress):
            yield Scan(f"({query('ingest/scan_parquet')})", {"files": [literal_path(part) for part in self._parts]})

    def numbering(self, con: Connection) -> pa.Table:
        """Number the rows from 1 in each part."""
        # an empty part begins where the next one does, and would give its name to the rows of that one
        parts = [(str(part), rows) for part, rows in zip(self._parts, self._rows, strict=True) if rows]
        firsts = np.concatenate([[0], np.cumsum([rows for _, rows in parts])[:-1]])
        return row_numbering(firsts, [part for part, _ in parts], [1] * len(parts))


def parquet_parts(path: Path) -> list[Path]:
    """List the Parquet files of a folder, or the file itself."""
    if path.is_dir():
        parts = sorted(part for part in path.rglob("*.parquet") if not part.name.startswith(("_", ".")))
        if not parts:
            raise InputError(f"the folder {path} holds no .parquet file; give a folder of the parts of one table")
        return parts
    if path.suffix.lower() in (".parquet", ".pq"):
        return [path] if path.is_file() else _matching(path)
    return []


def _matching(pattern: Path) -> list[Path]:
    """List the files that match a pattern; a folder that exists under the name in it is that folder and no pattern."""
    folder = next((place for place in pattern.parents if place.is_dir()), Path())
    rest = pattern.relative_to(folder)
    return sorted(folder / name for name in glob.glob(str(rest), root_dir=folder, recursive=True))


def _footer(part: Path) -> tuple[list[FileColumn], int]:
    """Columns and number of rows of a Parquet file."""
    try:
        file = pq.ParquetFile(part)
        fields, rows = list(file.schema_arrow), file.metadata.num_rows
        file.close()
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        reason = in_one_line(error)
        raise InputError(f"{part} cannot be read as Parquet ({reason}); fetch or write it again") from None
    return [FileColumn(field.name, sql_type(field.type), unit_text(field)) for field in fields], rows


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
