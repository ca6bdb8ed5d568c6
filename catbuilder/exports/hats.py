"""Write HATS: a folder of Parquet files, one per HEALPix cell, each with a limited number of objects.

The layout follows the IVOA note on HATS, version 1.0; LSDB, hats and plain Parquet readers open it. Rows are sorted on
disk by their cell of order 29, and a cell is split in four until it holds at most `most_rows` objects.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from catbuilder.catalogue.connection import Connection, fetch_arrow, set_progress_bar
from catbuilder.core.errors import InputError
from catbuilder.core.files import sync_folder, write_text
from catbuilder.core.resources import query
from catbuilder.core.sky import cell_shift, healpix_cell
from catbuilder.core.version import __version__
from catbuilder.exports.arrow_columns import null_mask, numeric_values
from catbuilder.exports.parquet import GROUP_ROWS, parquet_metadata
from catbuilder.exports.provenance import ProvenanceEntry
from catbuilder.exports.rows import BATCH_ROWS, Selection, limit_export_memory

MOST_ROWS = 1_000_000  # a file of some 50 MB, as the archives' own HATS catalogues have
_FINEST = 13  # cells of 26 arcsec; smaller ones would make needlessly small files
_CELL = "_healpix_29"
_BUILDER = f"catbuilder {__version__}"


@dataclass(frozen=True)
class Partition:
    """A HEALPix cell (nested) and its number of objects."""

    order: int
    pixel: int
    rows: int

    @property
    def path(self) -> str:
        """Return the path of its file below the folder `dataset`."""
        return f"Norder={self.order}/Dir={self.pixel // 10_000 * 10_000}/Npix={self.pixel}.parquet"


def check_hats_target(target: Path) -> None:
    """Check that the target is absent, an empty folder or a HATS catalogue of catbuilder.

    Raises
    ------
    InputError
        The target is anything else.
    """
    if not target.exists() or (target.is_dir() and not any(target.iterdir())):
        return
    properties = target / "hats.properties"
    if not properties.is_file() or f"hats_builder={_BUILDER.split()[0]} " not in properties.read_text(encoding="utf-8"):
        raise InputError(f"{target} exists and is no HATS catalogue of catbuilder; choose another name, or remove it")


def write_hats(selection: Selection, target: Path, most_rows: int = MOST_ROWS) -> int:
    """Write the selection as a HATS catalogue, and return the number of rows left out for lack of a position.

    Raises
    ------
    InputError
        No row has a position.
    """
    rows, partitions = _sort(selection, selection.scratch / "sorted.arrow", most_rows)
    if not rows:
        raise InputError("none of the objects has a position, which HATS needs; choose another format")
    with _atomic_folder(target) as folder:
        _write_partitions(selection, selection.scratch / "sorted.arrow", folder / "dataset", partitions)
        lines = (f"{p.order},{p.pixel}\n" for p in sorted(partitions, key=lambda p: (p.order, p.pixel)))
        write_text(folder / "partition_info.csv", "Norder,Npix\n" + "".join(lines))
        properties = _properties(selection.facts, target.stem, rows, most_rows, _size_kb(folder))
        write_text(folder / "hats.properties", properties)
        write_text(folder / "properties", properties)  # the name that readers of the first version look for
    return selection.rows - rows


def _sort(selection: Selection, file: Path, most_rows: int) -> tuple[int, list[Partition]]:
    """Sort the rows with a position by cell into `file`; return their number and the partitions.

    The rows go from file to file: DuckDB can use the memory of the catalogue only after closing it, and sorting while
    filling a table took 100 MB more.
    """
    unsorted = selection.scratch / "unsorted.arrow"
    _write_spool(unsorted, _with_cells(selection))
    with duckdb.connect(str(selection.scratch / "scratch.duckdb")) as con:
        limit_export_memory(con, selection.scratch)
        set_progress_bar(con, False)
        con.register("selected_rows", _spool_reader(unsorted))
        rows = _write_spool(file, con.sql(query("exports/hats_sort")).to_arrow_reader(BATCH_ROWS))
        con.register("sorted_cells", _spool_reader(file, [0]))
        con.execute("CREATE TABLE hats_cells AS SELECT * FROM sorted_cells")
        return rows, adaptive_partitions(con, most_rows)


def _write_spool(file: Path, rows: pa.RecordBatchReader) -> int:
    """Write rows to an Arrow file and return their number; LZ4 halves the file and saves time."""
    written = 0
    with pa.ipc.new_stream(str(file), rows.schema, options=pa.ipc.IpcWriteOptions(compression="lz4")) as out:
        for batch in rows:
            out.write_batch(batch)
            written += batch.num_rows
    return written


def _spool_reader(file: Path, columns: list[int] | None = None) -> pa.RecordBatchReader:
    """Read the batches of such a file, or only some columns by their number."""
    return pa.ipc.open_stream(
        pa.OSFile(str(file)), options=pa.ipc.IpcReadOptions(included_fields=columns, use_threads=False)
    )


def adaptive_partitions(con: Connection, most_rows: int) -> list[Partition]:
    """Find the largest cells with at most `most_rows` rows of `hats_cells`, sorted by cell."""
    found: list[Partition] = []
    pixels: list[int] | None = None  # cells of the order before with too many rows
    for order in range(_FINEST + 1):
        counted = fetch_arrow(
            con,
            query("exports/hats_counts"),
            {"shift": cell_shift(order), "whole": pixels is None, "crowded": pixels or []},
        )
        counts = [Partition(order, **row) for row in counted.to_pylist()]
        last = order == _FINEST
        found += [cell for cell in counts if cell.rows <= most_rows or last]
        pixels = [cell.pixel for cell in counts if cell.rows > most_rows and not last]
        if not pixels:
            break
    return sorted(found, key=lambda cell: cell.pixel << cell_shift(cell.order))


def _with_cells(selection: Selection) -> pa.RecordBatchReader:
    """Read the rows with their cell as first column; -1 without a position."""

    def batches() -> Iterator[pa.RecordBatch]:
        for batch in selection.batches():
            places = (batch.column(name) for name in ("ra", "dec"))
            cells = healpix_cell(*(np.where(null_mask(place), np.nan, numeric_values(place)) for place in places))
            column = pa.Array.from_buffers(pa.int64(), len(cells), [None, pa.py_buffer(cells)])
            yield pa.record_batch([column, *batch.columns], schema=schema)

    schema = pa.schema([(_CELL, pa.int64()), *selection.schema])
    return pa.RecordBatchReader.from_batches(schema, batches())


def _write_partitions(selection: Selection, file: Path, dataset: Path, partitions: list[Partition]) -> None:
    """Write the sorted rows to one file per partition in one pass; then the common metadata files."""
    metadata = parquet_metadata(selection, sum(p.rows for p in partitions))
    schema = pa.schema([(_CELL, pa.int64()), *selection.schema], metadata)
    rows = _Rows(_spool_reader(file))
    footers: list[pq.FileMetaData] = []
    texts = [column.name for column in selection.columns if column.kind == "text"]
    with selection.reporter.bar("partitions") as update:
        for n, partition in enumerate(partitions, start=1):
            file = dataset / partition.path
            file.parent.mkdir(parents=True, exist_ok=True)
            with pq.ParquetWriter(
                file, schema, compression="zstd", use_dictionary=texts, metadata_collector=footers
            ) as out:
                for group in rows.take(partition.rows):
                    out.write_table(group)
            footers[-1].set_file_path(partition.path)
            update(n, len(partitions))
    order = sorted(range(len(partitions)), key=lambda i: (partitions[i].order, partitions[i].pixel))
    pq.write_metadata(schema, dataset / "_common_metadata")
    pq.write_metadata(schema, dataset / "_metadata", metadata_collector=[footers[i] for i in order])


class _Rows:
    """Sorted rows, read in given numbers."""

    def __init__(self, batches: Iterator[pa.RecordBatch]) -> None:
        self._batches = batches
        self._left: pa.RecordBatch | None = None

    def take(self, wanted: int) -> Iterator[pa.Table]:
        """Read the next `wanted` rows, in row groups for Parquet."""
        group: list[pa.RecordBatch] = []
        while wanted:
            batch = self._left if self._left is not None else next(self._batches)
            room = min(wanted, GROUP_ROWS - sum(part.num_rows for part in group))
            group.append(batch.slice(0, room))
            self._left = batch.slice(room) if batch.num_rows > room else None
            wanted -= group[-1].num_rows
            if not wanted or sum(part.num_rows for part in group) == GROUP_ROWS:
                yield pa.Table.from_batches(group)
                group = []


def _properties(facts: tuple[ProvenanceEntry, ...], name: str, rows: int, most_rows: int, size_kb: int) -> str:
    known = {fact.name: fact.value for fact in facts}
    now = datetime.now(UTC)
    lines = {
        "obs_collection": name,
        "dataproduct_type": "object",
        "obs_description": f"Catalogue of {known['CLASSES']} by catbuilder, as of round {known['ROUND']}",
        "hats_nrows": rows,
        "hats_col_ra": "ra",
        "hats_col_dec": "dec",
        "hats_col_healpix": _CELL,
        "hats_col_healpix_order": 29,
        "hats_max_rows": most_rows,
        "hats_npix_suffix": ".parquet",
        "hats_frame": "icrs",
        "hats_estsize": size_kb,
        "hats_builder": _BUILDER,
        "hats_creation_date": now.strftime("%Y-%m-%dT%H:%MUTC"),
        "hats_version": "v1.0",
    } | {f"catbuilder_{key.lower()}": _one_line(value) for key, value in known.items()}
    return "".join(f"{key}={value}\n" for key, value in lines.items() if value not in (None, ""))


def _one_line(value: object) -> str:
    """Escape a value for a Java properties file: double backslashes, no line breaks."""
    return " ".join(str("" if value is None else value).replace("\\", "\\\\").split())


def _size_kb(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) // 1024


@contextmanager
def _atomic_folder(target: Path) -> Iterator[Path]:
    """Make a folder to fill beside the target; at the end it replaces the target."""
    scratch = target.with_name(f".{target.name}.scratch")
    folder, old = scratch / "new", scratch / "old"
    folder.mkdir()
    yield folder
    for file in folder.rglob("*"):
        if file.is_file():
            with open(file, "rb") as written:
                os.fsync(written.fileno())
    if target.exists():
        os.rename(target, old)
    os.rename(folder, target)
    sync_folder(target.parent)
    shutil.rmtree(old, ignore_errors=True)
