"""Read a table of a VOTable file into DuckDB (VOTable 1.1 to 1.5, IVOA recommendations).

The cells of TABLEDATA are read here, by `votable_cells`: astropy clips a number that does not fit the declared type,
and an empty integer becomes 0 in files before version 1.3. astropy reads BINARY and BINARY2, where neither can happen.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from astropy.io import votable

from catbuilder.catalogue.connection import Connection, fetch_arrow
from catbuilder.core.errors import InputError
from catbuilder.core.library_warnings import collect_warnings
from catbuilder.core.safe_text import in_one_line
from catbuilder.core.settings import Limits
from catbuilder.ingest.tables.packed_file import open_unpacked
from catbuilder.ingest.tables.table_file import (
    FileColumn,
    Progress,
    Scan,
    TableChoice,
    TableFile,
    choose_table,
    numbering_without,
    sql_type,
)
from catbuilder.ingest.tables.votable_cells import SetAside, read_tabledata
from catbuilder.ingest.tables.votable_header import no_votable, read_votable_header

# Deviations from the standard in what is not used here, or whose meaning is plain: identifiers, addresses, descriptors,
# namespaces, versions and elements at wrong places. Not among them: values that astropy changes (W36, W46, W51).
_HARMLESS = (r"^W(0[2-79]|1[0-257]|2[0-26-9]|3[2-5]|4[0-5]|4[78]|5[02-47]): ",)

_MOST_NAMES = 5  # of columns, in a message


class VotableFile(TableFile):
    """A table of a VOTable, whose wanted columns are held in memory."""

    malformed = "ingest/malformed_votable_rows"

    def __init__(self, path: Path, limits: Limits, choice: TableChoice) -> None:
        header = read_votable_header(path, limits)
        tables = header.tables_with_rows
        listed = [(table.number, table.name, [column.name for column in table.columns]) for table in tables]
        self._table = tables[choose_table(path, listed, choice)]
        self._set_aside: list[SetAside] = []
        columns = [
            FileColumn(column.name, sql_type(column.kind), column.unit, frame=header.frame_of(column))
            for column in self._table.columns
        ]
        super().__init__(path, columns, limits)
        self.frame = header.frame
        self._overflow = header.overflow

    @contextmanager
    def scan(self, con: Connection, names: Sequence[str], progress: Progress) -> Iterator[Scan]:
        """Read the rows into memory; rows with a cell that does not fit its column are set aside."""
        try:
            if self._table.serialisation == "TABLEDATA" or not self._table.serialisation:
                rows, self._set_aside = read_tabledata(self.path, self._table, names)
            else:
                rows = self._from_binary(names)
        # Damaged content makes astropy raise errors of many kinds: ValueError, IndexError, AttributeError ...
        except Exception as error:
            raise no_votable(self.path, error) from None
        con.register("file_stream", rows)
        try:
            yield Scan("file_stream", {})
        finally:
            con.unregister("file_stream")
            con.register("set_aside", pa.Table.from_pylist([vars(row) for row in self._set_aside], SetAside.SCHEMA))
        held = rows.num_rows + len(self._set_aside)
        if self._overflow is not None:
            words = f": {self._overflow}" if self._overflow else ""
            self.notes.append(
                f"the service cut the result at {held:,} rows (QUERY_STATUS OVERFLOW){words}; {self.path} lacks the "
                "others: ask for more rows, or for the table in parts"
            )
        elif self._table.rows not in (None, held):
            self.notes.append(f"{self.path} declares {self._table.rows:,} rows and holds {held:,}; is it whole?")

    def numbering(self, con: Connection) -> pa.Table:
        """Number the rows from 1, with those that were set aside."""
        skipped = fetch_arrow(con, "SELECT row FROM malformed ORDER BY row").column(0).to_numpy()
        return numbering_without(self.path, 0, skipped)

    def _from_binary(self, names: Sequence[str]) -> pa.Table:
        wanted = [(place, column) for place, column in enumerate(self._table.columns) if column.name in names]
        with collect_warnings(_HARMLESS) as told, open_unpacked(self.path) as file:
            try:
                places = [place for place, _ in wanted]
                parsed = votable.parse(file, columns=places, table_number=self._table.number - 1)
            except UnicodeDecodeError:
                raise self._beyond_ascii() from None
            table = next(table for table in parsed.iter_tables() if not table.is_empty())
        self.notes += [f"{self.path}: the library that reads its cells says: {text}" for text in told]
        cells = [table.array[name] for name in table.array.dtype.names] if wanted else []
        arrays = [_to_arrow(values, column.kind) for values, (_, column) in zip(cells, wanted, strict=True)]
        return pa.table(arrays, schema=pa.schema([(column.name, column.kind) for _, column in wanted]))

    def _beyond_ascii(self) -> InputError:
        texts = [in_one_line(column.name, 60) for column in self._table.columns if column.datatype == "char"]
        more = f" and {len(texts) - _MOST_NAMES} more" if len(texts) > _MOST_NAMES else ""
        return InputError(
            f"{self.path} has a letter beyond ASCII in a column of type char ({', '.join(texts[:_MOST_NAMES])}{more}), "
            "which cannot hold it in a binary VOTable; fetch the table as TABLEDATA or FITS, or with unicodeChar"
        )


def _to_arrow(values: np.ma.MaskedArray[Any, Any], kind: pa.DataType) -> pa.Array:
    if values.dtype == object or values.ndim > 1:  # arrays of at most one value
        single = [np.ma.ravel(np.ma.asarray(value)) for value in values]
        if not pa.types.is_string(kind):
            return pa.array([None if not len(one) or one[0] is np.ma.masked else one[0].item() for one in single], kind)
    if pa.types.is_string(kind):
        return pa.array([None if text is np.ma.masked else str(text) for text in values], kind)
    return pa.array(np.ma.getdata(values), kind, mask=np.ma.getmaskarray(values))
