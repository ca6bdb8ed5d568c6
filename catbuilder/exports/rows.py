"""The rows of an export, streamed out of the catalogue, and the one list of columns that feeds every format.

Slice by slice, in the order of ids, one thread joins the catalogue under a lens while another turns and writes the rows
of the slice before. How wide text is at most is asked of the tables below first, since a FITS header says it before the
first row. A condition from the user runs on a connection that can touch no file but the catalogue. DuckDB is held to a
small part of memory and sorts and joins on disk. The catalogue is held until the last row is out of it.
"""

import shutil
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc

from catbuilder.catalogue.connection import Connection, fetch_arrow
from catbuilder.catalogue.id_ranges import IdRange, id_ranges, restricted_to
from catbuilder.catalogue.round_records import NOW, require_closed
from catbuilder.catalogue.schema import Column, data_dictionary
from catbuilder.catalogue.where_condition import condition_errors, confined_condition
from catbuilder.catalogue.workspace import Workspace
from catbuilder.core.files import exclusive_lock
from catbuilder.core.progress import Reporter
from catbuilder.core.resources import query
from catbuilder.exports.provenance import ProvenanceEntry, collect_provenance

Kind = Literal["int64", "int32", "double", "float", "boolean", "text"]
Source = Generator[tuple[int, pa.RecordBatch], None, None]  # the number of a slice, from 1, and rows of it
# DuckDB takes up to 100 MB more than it is told to; with Python and Arrow a process stays below 400 MiB.
DUCKDB_MEMORY = "128MB"  # 96 MB was not enough to sort ten million rows
SLICE_ROWS = 245_760  # joined at a time; two row groups of DuckDB
FETCH_ROWS = 32_768  # taken over from DuckDB at a time
BATCH_ROWS = 16_384  # turned at a time

_ARROW: dict[Kind, pa.DataType] = {
    "int64": pa.int64(), "int32": pa.int32(), "double": pa.float64(), "float": pa.float32(), "boolean": pa.bool_(),
    "text": pa.string(),
}  # fmt: skip


@dataclass(frozen=True)
class ExportColumn:
    """A column of the export: its meaning, its type, and of text what no value exceeds (characters, at least 1)."""

    meaning: Column
    kind: Kind
    width: int
    ascii: bool

    @property
    def name(self) -> str:
        """Name in the catalogue and in every format."""
        return self.meaning.name


@dataclass
class Selection:
    """Rows in the order of (survey, object_id), to be taken once."""

    columns: tuple[ExportColumn, ...]
    facts: tuple[ProvenanceEntry, ...]
    scratch: Path  # a folder for whatever must go to disk on the way; removed at the end
    reporter: Reporter
    slices: int
    source: Source
    rows: int = 0  # taken so far
    surveys: set[str] = field(default_factory=set)  # of these rows
    label_sources: set[str | None] = field(default_factory=set)  # of these rows

    @property
    def schema(self) -> pa.Schema:
        """Arrow schema of the batches."""
        return pa.schema([(column.name, _ARROW[column.kind]) for column in self.columns])

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The rows, `BATCH_ROWS` or fewer at a time, with a progress bar as they are taken.

        Raises
        ------
        QueryError
            The condition is not valid.
        """
        with self.reporter.bar("writing") as update:
            for done, batch in _ahead(self.source):
                batch = batch.cast(self.schema)  # to the few types that exports have
                for first in range(0, batch.num_rows, BATCH_ROWS):
                    yield batch.slice(first, BATCH_ROWS)
                self.rows += batch.num_rows
                self.surveys.update(pc.unique(batch["survey"]).to_pylist())
                self.label_sources.update(pc.unique(batch["source"]).to_pylist())
                update(done, self.slices)


@contextmanager
def open_selection(
    workspace: Workspace, target: Path, at: int | None, where: str | None, reporter: Reporter
) -> Iterator[Selection]:
    """Open the catalogue for its rows to be taken, with a scratch folder beside `target`, for as long as the body runs.

    Raises
    ------
    RoundError
        There is no round `at`, or it is not closed.
    QueryError
        The condition is more than one.
    WorkspaceBusy
        Another export writes to the same target, or the catalogue is held.
    """
    with _scratch_folder(target) as scratch, workspace.reading() as con:
        if at is not None:
            require_closed(con, at)
        limit_export_memory(con, scratch)
        at_round = NOW if at is None else at
        facts = collect_provenance(con, workspace, at_round, where)
        columns = export_columns(con, at_round)
        slices = id_ranges(con, SLICE_ROWS) or [IdRange("", 0, 0)]  # a condition is judged by an empty one too
        source = _select(con, at_round, where, confined_condition(con, where), slices)
        yield Selection(columns, tuple(facts), scratch, reporter, len(slices), source)


def export_columns(con: Connection, at_round: int) -> tuple[ExportColumn, ...]:
    """The columns of the catalogue as it was at the end of a round, with bounds on their text."""
    meanings = {meaning.name: meaning for meaning in data_dictionary(con, "catalog")}
    bounds = {name: bound for name, *bound in con.execute(query("exports/text_widths"), {"at": at_round}).fetchall()}
    columns = []
    for column in fetch_arrow(con, "SELECT * FROM catalog LIMIT 0").schema:
        kind = _kind(column.type)
        width, ascii_only = bounds.get(column.name, (1, True))  # no text in it, or no text at all
        columns.append(ExportColumn(meanings[column.name], kind, width, ascii_only))
    return tuple(columns)


def limit_export_memory(con: Connection, scratch: Path) -> None:
    """Hold DuckDB to `DUCKDB_MEMORY`; what needs more goes to files in `scratch`."""
    con.execute("SET temp_directory = $folder", {"folder": str(scratch / "spill")})
    con.execute(f"SET memory_limit = '{DUCKDB_MEMORY}'")
    con.execute("SET threads = 1")  # each thread keeps blocks of its own; the other core turns and writes rows
    con.execute("SET streaming_buffer_size = '1MB'")


def _ahead(source: Source) -> Source:
    """The same, each item made by another thread while the one before is in use."""
    try:
        with ThreadPoolExecutor(1) as pool:
            coming = pool.submit(next, source, None)
            while item := coming.result():
                coming = pool.submit(next, source, None)
                yield item
    finally:
        source.close()


@contextmanager
def _scratch_folder(target: Path) -> Iterator[Path]:
    """A folder beside the target, on the disk that must have room anyway; what a killed export left is cleared."""
    folder = target.with_name(f".{target.name}.scratch")
    folder.mkdir(exist_ok=True)
    with exclusive_lock(folder / "lock", f"another export to {target} is under way"):
        try:
            for left in folder.iterdir():
                if left.name != "lock":
                    shutil.rmtree(left) if left.is_dir() else left.unlink()
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _select(con: Connection, at_round: int, where: str | None, condition: str, slices: list[IdRange]) -> Source:
    """Read the rows that meet the condition in order, slice by slice."""
    text = f"SELECT * FROM catalog_at($at) WHERE {condition} ORDER BY survey, object_id"
    with condition_errors(where):
        for done, one in enumerate(slices, start=1):
            with restricted_to(con, one):
                for batch in con.sql(text, params={"at": at_round}).to_arrow_reader(FETCH_ROWS):
                    yield done, batch
    con.close()  # the last row is out: whoever waits to write may, and what DuckDB keeps in memory is free


def _kind(arrow: pa.DataType) -> Kind:
    if pa.types.is_boolean(arrow):
        return "boolean"
    if pa.types.is_integer(arrow):
        return "int64" if arrow.bit_width > 32 or arrow == pa.uint32() else "int32"
    if pa.types.is_floating(arrow):
        return "float" if arrow.bit_width <= 32 else "double"
    return "text"
