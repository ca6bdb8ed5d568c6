"""Stream the rows of an export out of the catalogue, and list its columns for every format.

One thread joins the catalogue, one slice of ids after another, while another converts and writes the rows of the slice
before. The largest width of each text column is read first, since a FITS header needs it before the first row. DuckDB
has little memory, and sorts and joins on disk. The catalogue stays open until the last row is read.
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
Source = Generator[tuple[int, pa.RecordBatch], None, None]  # number of a slice, from 1, and some of its rows
# DuckDB uses up to 100 MB more than its limit; with Python and Arrow a process stays below 400 MiB.
DUCKDB_MEMORY = "128MB"  # 96 MB was not enough to sort ten million rows
SLICE_ROWS = 245_760  # joined at a time; two row groups of DuckDB
FETCH_ROWS = 32_768  # fetched from DuckDB at a time
BATCH_ROWS = 16_384  # converted at a time

_ARROW: dict[Kind, pa.DataType] = {
    "int64": pa.int64(), "int32": pa.int32(), "double": pa.float64(), "float": pa.float32(), "boolean": pa.bool_(),
    "text": pa.string(),
}  # fmt: skip


@dataclass(frozen=True)
class ExportColumn:
    """A column of the export: its meaning, its type, and the largest width of text (characters, at least 1)."""

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
    """The rows of an export, sorted by survey and object_id; they can be read once."""

    columns: tuple[ExportColumn, ...]
    facts: tuple[ProvenanceEntry, ...]
    scratch: Path  # a folder for temporary files; removed at the end
    reporter: Reporter
    slices: int
    source: Source
    rows: int = 0  # read so far
    surveys: set[str] = field(default_factory=set)  # of these rows
    label_sources: set[str | None] = field(default_factory=set)  # of these rows

    @property
    def schema(self) -> pa.Schema:
        """Return the Arrow schema of the batches."""
        return pa.schema([(column.name, _ARROW[column.kind]) for column in self.columns])

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Read the rows, at most `BATCH_ROWS` at a time, with a progress bar.

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
    """Open the catalogue to read its rows while the body runs, with a scratch folder beside `target`.

    Raises
    ------
    RoundError
        There is no round `at`, or it is not closed.
    QueryError
        The condition is not one SQL expression.
    WorkspaceBusy
        Another export writes to the same target, or another process holds the catalogue.
    """
    with _scratch_folder(target) as scratch, workspace.reading() as con:
        if at is not None:
            require_closed(con, at)
        limit_export_memory(con, scratch)
        at_round = NOW if at is None else at
        facts = collect_provenance(con, workspace, at_round, where)
        columns = export_columns(con, at_round)
        slices = id_ranges(con, SLICE_ROWS) or [IdRange("", 0, 0)]  # an empty catalogue, too, checks the condition
        source = _select(con, at_round, where, confined_condition(con, where), slices)
        yield Selection(columns, tuple(facts), scratch, reporter, len(slices), source)


def export_columns(con: Connection, at_round: int) -> tuple[ExportColumn, ...]:
    """List the columns of the catalogue as of the end of a round, with the widths of text."""
    meanings = {meaning.name: meaning for meaning in data_dictionary(con, "catalog")}
    bounds = {name: bound for name, *bound in con.execute(query("exports/text_widths"), {"at": at_round}).fetchall()}
    columns = []
    for column in fetch_arrow(con, "SELECT * FROM catalog LIMIT 0").schema:
        kind = _kind(column.type)
        width, ascii_only = bounds.get(column.name, (1, True))  # no text column, or no value
        columns.append(ExportColumn(meanings[column.name], kind, width, ascii_only))
    return tuple(columns)


def limit_export_memory(con: Connection, scratch: Path) -> None:
    """Limit DuckDB to `DUCKDB_MEMORY`; it spills to files in `scratch`."""
    con.execute("SET temp_directory = $folder", {"folder": str(scratch / "spill")})
    con.execute(f"SET memory_limit = '{DUCKDB_MEMORY}'")
    con.execute("SET threads = 1")  # each thread has its own blocks; the other core converts and writes rows
    con.execute("SET streaming_buffer_size = '1MB'")


def _ahead(source: Source) -> Source:
    """Read ahead: another thread makes each item while the one before is in use."""
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
    """Make a folder beside the target, on the disk that needs the space anyway; clear what a killed export left."""
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
    con.close()  # after the last row: lets a waiting writer in, and frees DuckDB's memory


def _kind(arrow: pa.DataType) -> Kind:
    if pa.types.is_boolean(arrow):
        return "boolean"
    if pa.types.is_integer(arrow):
        return "int64" if arrow.bit_width > 32 or arrow == pa.uint32() else "int32"
    if pa.types.is_floating(arrow):
        return "float" if arrow.bit_width <= 32 else "double"
    return "text"
