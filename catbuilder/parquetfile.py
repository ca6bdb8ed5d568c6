"""Parquet and CSV by DuckDB's own writers, from the rows of an export.

The connection that writes has never seen the catalogue, nor a condition of the user.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa

from catbuilder.catalog import Connection
from catbuilder.resources import query
from catbuilder.selection import Selection, limit_memory
from catbuilder.votable import votable_document


def write_parquet(selection: Selection, file: Path) -> None:
    """Write the selection as VOParquet 1.0: Parquet with a VOTable document of its metadata in the footer."""
    metadata = parquet_metadata(selection, selection.rows)
    with scratch_database(selection, selection.reader()) as con:
        con.execute(query("write_parquet"), {"file": str(file), "metadata": metadata})


def parquet_metadata(selection: Selection, rows: int) -> dict[str, str]:
    """What the footer says: the VOTable document, and the widths of text by which astropy reads it."""
    widths = {
        # astropy looks for the longest value itself where it is not told, and fails on NULL; it reads NULL as 'None'
        f"table::len::{column.name}": str(max(len("None"), column.width))
        for column in selection.columns
        if column.kind == "text"
    }
    document = votable_document(selection.columns, selection.facts, rows)
    return {"IVOA.VOTable-Parquet.version": "1.0", "IVOA.VOTable-Parquet.content": document} | widths


def write_csv(selection: Selection, file: Path) -> None:
    """Write the selection as CSV (RFC 4180, in UTF-8) with a line of names; NULL is empty, empty text is ""."""
    with scratch_database(selection, selection.reader()) as con:
        con.execute(query("write_csv"), {"file": str(file)})


@contextmanager
def scratch_database(selection: Selection, rows: pa.RecordBatchReader) -> Iterator[Connection]:
    """A connection to a database for the moment, in which `selected_rows` are the rows, to be read once."""
    import duckdb

    with duckdb.connect(str(selection.scratch / "scratch.duckdb")) as con:
        limit_memory(con, selection.scratch)
        con.execute("SET enable_progress_bar = false")
        con.register("selected_rows", rows)
        yield con
