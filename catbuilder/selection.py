"""The rows of an export, taken out of the catalogue once, and the one list of columns that feeds every format.

The rows go through an Arrow file on disk, for three reasons. Widths of text and the number of rows stand in the header
of a FITS table, before the first row. The catalogue is let go before the (longer) writing begins, so that recordings
need not wait. And a condition from the user runs on a connection that can touch no file at all, while DuckDB's own
writers work on another that never sees it. DuckDB is held to a small part of memory and sorts and joins on disk.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc

from catbuilder.catalog import Column, Connection, confine, data_dictionary, fetch_arrow, was_interrupted
from catbuilder.errors import QueryError
from catbuilder.files import held_alone
from catbuilder.lens import IdRange, id_ranges, lens_on
from catbuilder.progress import Reporter
from catbuilder.provenance import NOW, Fact, provenance, require_closed
from catbuilder.textcolumn import text_width
from catbuilder.workspace import Workspace

Kind = Literal["int64", "int32", "double", "float", "boolean", "text"]
# DuckDB takes up to 100 MB more than it is told to; with Python and Arrow a process stays below 400 MiB.
DUCKDB_MEMORY = "160MB"  # 96 MB was not enough to sort ten million rows
SLICE_ROWS = 125_000  # joined at a time; a row group of DuckDB
BATCH_ROWS = 16_384  # rows in hand stay in the processor's cache while they are turned

_ARROW: dict[Kind, pa.DataType] = {
    "int64": pa.int64(), "int32": pa.int32(), "double": pa.float64(), "float": pa.float32(), "boolean": pa.bool_(),
    "text": pa.string(),
}  # fmt: skip


@dataclass(frozen=True)
class ExportColumn:
    """A column of the export: its meaning, its type, and of text the longest value (characters, at least 1)."""

    meaning: Column
    kind: Kind
    width: int
    ascii: bool

    @property
    def name(self) -> str:
        """Name in the catalogue and in every format."""
        return self.meaning.name


@dataclass(frozen=True)
class Selection:
    """Rows on disk, in the order of (survey, object_id)."""

    columns: tuple[ExportColumn, ...]
    rows: int
    facts: tuple[Fact, ...]
    scratch: Path  # a folder for whatever else must go to disk on the way; removed at the end
    file: Path
    reporter: Reporter

    @property
    def schema(self) -> pa.Schema:
        """Arrow schema of the batches."""
        return pa.schema([(column.name, _ARROW[column.kind]) for column in self.columns])

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The rows, `BATCH_ROWS` or fewer at a time, with a progress bar as they are taken."""
        done = 0
        with self.reporter.bar("writing") as update:
            for batch in read_spool(self.file):
                yield batch
                done += batch.num_rows
                update(done, self.rows)

    def reader(self) -> pa.RecordBatchReader:
        """The same as an Arrow reader, which DuckDB can scan."""
        return pa.RecordBatchReader.from_batches(self.schema, self.batches())


@contextmanager
def selected(
    workspace: Workspace, target: Path, at: int | None, where: str | None, reporter: Reporter
) -> Iterator[Selection]:
    """Take the rows out of the catalogue into a scratch folder beside `target`, for as long as the body runs.

    Raises
    ------
    RoundError
        There is no round `at`, or it is not closed.
    QueryError
        The condition is not valid.
    WorkspaceBusy
        Another export writes to the same target.
    """
    with _scratch_folder(target) as scratch:
        file = scratch / "rows.arrow"
        with workspace.reading() as con:
            if at is not None:
                require_closed(con, at)
            limit_memory(con, scratch)
            meanings = data_dictionary(con, "catalog")
            slices = id_ranges(con, SLICE_ROWS) or [IdRange("", 0, 0)]  # a condition is judged by an empty one too
            schema = fetch_arrow(con, "SELECT * FROM catalog LIMIT 0").schema
            with (
                reporter.bar("selecting") as update,
                Spool(file, schema) as spool,
                _telling_of_condition(where),
            ):
                for done, batches in enumerate(_select(con, at, where, slices), start=1):
                    for batch in batches:
                        spool.write(batch)
                    update(done, len(slices))
            facts = provenance(con, workspace, at, where, sorted(spool.certificates))
        yield Selection(spool.columns(meanings), spool.rows, tuple(facts), scratch, file, reporter)


def limit_memory(con: Connection, scratch: Path) -> None:
    """Hold DuckDB to `DUCKDB_MEMORY`; what needs more goes to files in `scratch`."""
    con.execute("SET temp_directory = $folder", {"folder": str(scratch / "spill")})
    con.execute(f"SET memory_limit = '{DUCKDB_MEMORY}'")
    con.execute("SET threads = 1")  # each thread keeps blocks of its own; the other core turns and writes rows
    con.execute("SET streaming_buffer_size = '1MB'")


def spool_writer(file: Path, schema: pa.Schema) -> pa.ipc.RecordBatchStreamWriter:
    """An Arrow file for rows on their way: LZ4 halves it and costs less than writing the other half would."""
    return pa.ipc.new_stream(str(file), schema, options=pa.ipc.IpcWriteOptions(compression="lz4"))


def read_spool(file: Path, columns: list[int] | None = None) -> Iterator[pa.RecordBatch]:
    """The batches of such a file, or only some of their columns, by number."""
    options = pa.ipc.IpcReadOptions(included_fields=columns, use_threads=False)
    with pa.OSFile(str(file)) as raw, pa.ipc.open_stream(raw, options=options) as stream:
        yield from stream


@contextmanager
def _scratch_folder(target: Path) -> Iterator[Path]:
    """A folder beside the target, on the disk that must have room anyway; what a killed export left is cleared."""
    folder = target.with_name(f".{target.name}.scratch")
    folder.mkdir(exist_ok=True)
    with held_alone(folder / "lock", f"another export to {target} is under way"):
        try:
            for left in folder.iterdir():
                if left.name != "lock":
                    shutil.rmtree(left) if left.is_dir() else left.unlink()
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _select(
    con: Connection, at: int | None, where: str | None, slices: list[IdRange]
) -> Iterator[pa.RecordBatchReader]:
    """The rows in order, slice by slice; a condition from the user sees the catalogue and nothing else."""
    confine(con)
    condition = f"WHERE ({where}\n)" if where else ""
    text = f"SELECT * FROM catalog_at($at) {condition} ORDER BY survey, object_id"
    if len(con.extract_statements(text)) != 1:
        raise QueryError("--where takes one condition on the columns of the catalogue, such as: ra < 30")
    for one in slices:
        with lens_on(con, one):
            yield con.sql(text, params={"at": NOW if at is None else at}).to_arrow_reader(BATCH_ROWS)


@contextmanager
def _telling_of_condition(where: str | None) -> Iterator[None]:
    """What DuckDB says while it runs a condition is about the condition, unless it is about disk or memory."""
    import duckdb

    try:
        yield
    except (duckdb.IOException, duckdb.OutOfMemoryException, duckdb.FatalException):
        raise
    except (duckdb.Error, pa.ArrowException) as error:
        if was_interrupted(error) or not where:
            raise
        said = str(error).splitlines()[0]
        raise QueryError(f"--where '{where}' is not a condition on the columns of the catalogue: {said}") from None


class Spool:
    """Batches into an Arrow file; on the way it learns what headers must say of all rows."""

    def __init__(self, file: Path, schema: pa.Schema) -> None:
        self.rows = 0
        self.certificates: set[str] = set()
        self.schema = pa.schema([(field.name, _ARROW[_kind(field.type)]) for field in schema])
        self.widths, self.ascii = [0] * len(schema), [True] * len(schema)
        self._writer = spool_writer(file, self.schema)

    def __enter__(self) -> "Spool":
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.close()

    def columns(self, meanings: list[Column]) -> tuple[ExportColumn, ...]:
        """The columns of what was written; of each there must be a meaning."""
        known = {meaning.name: meaning for meaning in meanings}
        return tuple(
            ExportColumn(known[field.name], _kind(field.type), max(1, self.widths[i]), self.ascii[i])
            for i, field in enumerate(self.schema)
        )

    def write(self, batch: pa.RecordBatch) -> None:
        """Add a batch, its columns cast to the few types that exports have."""
        batch = batch.cast(self.schema)
        for i, column in enumerate(batch.columns):
            if column.type == pa.string() and column.null_count < len(column):
                width, ascii_only = text_width(column)
                self.widths[i], self.ascii[i] = max(self.widths[i], width), self.ascii[i] and ascii_only
        certificates = batch.column("certificate")
        if certificates.null_count < len(certificates):
            self.certificates.update(pc.unique(certificates.drop_null()).to_pylist())
        self._writer.write_batch(batch)
        self.rows += batch.num_rows


def _kind(arrow: pa.DataType) -> Kind:
    if pa.types.is_boolean(arrow):
        return "boolean"
    if pa.types.is_integer(arrow):
        return "int64" if arrow.bit_width > 32 or arrow == pa.uint32() else "int32"
    if pa.types.is_floating(arrow):
        return "float" if arrow.bit_width <= 32 else "double"
    return "text"
