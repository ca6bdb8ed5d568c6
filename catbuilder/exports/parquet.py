"""Parquet and CSV, written by Arrow as the rows of an export come by."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq

from catbuilder.exports.rows import Selection
from catbuilder.exports.votable import votable_document

GROUP_ROWS = 61_440  # or a few more in a row group: what is in memory before it goes to disk


def write_parquet(selection: Selection, file: Path) -> None:
    """Write the selection as VOParquet 1.0: Parquet with a VOTable document of its metadata in the footer."""
    texts = [column.name for column in selection.columns if column.kind == "text"]
    # with Arrow's own schema in the footer too, readers would not see what is added at the end
    with pq.ParquetWriter(file, selection.schema, compression="zstd", use_dictionary=texts, store_schema=False) as out:
        for group in row_groups(selection.batches()):
            out.write_table(group)
        out.add_key_value_metadata(parquet_metadata(selection, selection.rows))


def row_groups(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """The rows in groups for Parquet; a selective condition leaves a few rows a batch."""
    group: list[pa.RecordBatch] = []
    for batch in batches:
        group.append(batch)
        if sum(part.num_rows for part in group) >= GROUP_ROWS:
            yield pa.Table.from_batches(group)
            group = []
    if group:
        yield pa.Table.from_batches(group)


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
    options = pc.WriteOptions(eol="\r\n", quoting_header="none")
    with pc.CSVWriter(str(file), selection.schema, write_options=options) as out:
        for batch in selection.batches():
            out.write_batch(batch)
