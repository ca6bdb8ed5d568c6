"""Write VOParquet and CSV with Arrow, in constant memory."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq

from catbuilder.exports.rows import Selection
from catbuilder.exports.votable import votable_document

GROUP_ROWS = 61_440  # rows of a row group, which is held in memory; at most one batch more


def write_parquet(selection: Selection, file: Path) -> None:
    """Write the selection as VOParquet 1.0: Parquet with a VOTable document of its metadata in the footer."""
    texts = [column.name for column in selection.columns if column.kind == "text"]
    # with Arrow's own schema in the footer, readers would not see the metadata added at the end
    with pq.ParquetWriter(file, selection.schema, compression="zstd", use_dictionary=texts, store_schema=False) as out:
        for group in row_groups(selection.batches()):
            out.write_table(group)
        out.add_key_value_metadata(parquet_metadata(selection, selection.rows))


def row_groups(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Collect batches into row groups; a selective condition leaves few rows in a batch."""
    group: list[pa.RecordBatch] = []
    for batch in batches:
        group.append(batch)
        if sum(part.num_rows for part in group) >= GROUP_ROWS:
            yield pa.Table.from_batches(group)
            group = []
    if group:
        yield pa.Table.from_batches(group)


def parquet_metadata(selection: Selection, rows: int) -> dict[str, str]:
    """Return the metadata of the footer: the VOTable document, and the text widths that astropy needs."""
    widths = {
        # without a width astropy searches for the longest value and fails on NULL; it reads NULL as 'None'
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
