"""Read an ECSV file (Astropy Proposal for Enhancement 6): CSV with the types and units of its columns in a header.

astropy reads it as a whole, in memory. A coordinate column (SkyCoord) becomes the columns `ra` and `dec` (ICRS,
degrees), named after it if there are several.
"""

import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from astropy.coordinates import SkyCoord
from astropy.io.ascii.ecsv import InvalidEcsvDatatypeWarning
from astropy.table import Column, MaskedColumn, Table
from astropy.units import Quantity, UnitsWarning

from catbuilder.catalogue.connection import Connection
from catbuilder.core.errors import InputError
from catbuilder.core.safe_text import in_one_line
from catbuilder.core.settings import Limits
from catbuilder.ingest.tables.frames import frame_in
from catbuilder.ingest.tables.packed_file import UNPACKING_ERRORS, open_unpacked
from catbuilder.ingest.tables.table_file import FileColumn, Progress, Scan, TableFile, damaged_table, sql_type

_FIRST_LINE = b"# %ECSV"
_NOT_OF_ITS_TYPE = re.compile(r"column '(.+?)' failed to convert: (.*)", re.DOTALL)
_MARK = b"\xef\xbb\xbf"  # byte order mark, which some editors write


class EcsvFile(TableFile):
    """The rows of an ECSV file, held in memory."""

    def __init__(self, path: Path, limits: Limits) -> None:
        text = _text(path, limits)
        try:
            table = _read(text)
            cells = [
                (name, _to_arrow(column), str(getattr(column, "unit", None) or ""), frame)
                for name, column, frame in _flat(table)
            ]
        # A damaged header makes astropy and YAML raise errors of many kinds
        except Exception as error:
            if found := _NOT_OF_ITS_TYPE.fullmatch(str(error)):
                raise _wrong_cell(path, *found.groups()) from None
            told = isinstance(error, ValueError | OverflowError | Warning)  # others are of the parser itself
            reason = (in_one_line(error) if told else "") or "its header is damaged"
            raise InputError(f"{path} cannot be read as ECSV ({reason}); write it again") from None
        self._columns = {name: values for name, values, *_ in cells}
        self.frame = frame_in(table.meta)
        columns = [FileColumn(name, sql_type(values.type), unit, frame=frame) for name, values, unit, frame in cells]
        super().__init__(path, columns, limits)

    @contextmanager
    def scan(self, con: Connection, names: Sequence[str], progress: Progress) -> Iterator[Scan]:
        """Hand the rows over."""
        wanted = {name: values for name, values in self._columns.items() if name in names}
        con.register("file_stream", pa.table(wanted))
        try:
            yield Scan("file_stream", {})
        finally:
            con.unregister("file_stream")


def is_ecsv(path: Path) -> bool:
    """Whether a file, packed or not, begins as ECSV does."""
    try:
        with open_unpacked(path) as file:
            return file.read(len(_MARK + _FIRST_LINE)).removeprefix(_MARK).startswith(_FIRST_LINE)
    except UNPACKING_ERRORS:
        return False


def _text(path: Path, limits: Limits) -> str:
    """Read the whole file, unpacked, within the limit of tables that are held in memory."""
    most = limits.max_csv_mb * 1_000_000
    try:
        with open_unpacked(path) as file:
            content = file.read(most + 1)
    except UNPACKING_ERRORS:
        raise damaged_table(path) from None
    if len(content) > most:
        raise InputError(
            f"{path} is an ECSV file of more than {limits.max_csv_mb:,} MB, and would be held in memory; save it as "
            "FITS or Parquet, or raise limits.max_csv_mb in catbuilder.toml"
        )
    content = content.removeprefix(_MARK)
    if not content.startswith(_FIRST_LINE):
        raise InputError(f"{path} does not begin with '# %ECSV', as ECSV does; write it again, or name it .csv")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 text ({in_one_line(error)}); write it again") from None


def _read(text: str) -> Table:
    """Let astropy read the text; what it would only warn of, such as a number beyond its type, is an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", UnitsWarning)  # `units` reads the units that are needed
        warnings.simplefilter("ignore", InvalidEcsvDatatypeWarning)  # `str` for `string`, as numpy calls it
        return Table.read(text.splitlines(), format="ascii.ecsv")


def _wrong_cell(path: Path, column: str, why: str) -> InputError:
    """Make the error for a cell that is not of the type of its column, from the words of Python and numpy."""
    value = re.search(r"integer (-?\d+) out of bounds|: '(.*)'$", why)
    cell = f"'{in_one_line(value[1] or value[2], 60)}'" if value else "a cell"
    cell = "a number beyond 64 bits" if "too large" in why else cell
    return InputError(
        f"{path} has {cell} in its column {in_one_line(column, 60)}, which does not fit the type that its header "
        "states; correct the cell, or the type in the header"
    )


def _coordinates(table: Table) -> list[str]:
    return [name for name in table.colnames if isinstance(table[name], SkyCoord)]


def _flat(table: Table) -> Iterator[tuple[str, Any, str]]:
    """Give name, cells and frame of the columns, with right ascension and declination in place of each coordinate."""
    several = len(_coordinates(table)) > 1 or {"ra", "dec"} & {name.lower() for name in table.colnames}
    for name in table.colnames:
        column = table[name]
        if isinstance(column, SkyCoord):
            place = column.icrs
            yield f"{name}.ra" if several else "ra", place.ra.to("deg"), "ICRS"
            yield f"{name}.dec" if several else "dec", place.dec.to("deg"), "ICRS"
        else:
            yield name, column, ""


def _to_arrow(column: Any) -> pa.Array:
    """Cells of a column; of type null if they are not single values of a plain kind."""
    if not isinstance(column, Column | Quantity) or np.ndim(column) != 1:
        return pa.nulls(len(column))
    if column.dtype.kind not in "biufU" or column.dtype == np.longdouble:
        return pa.nulls(len(column))
    mask = np.asarray(column.mask) if hasattr(column, "mask") else None
    values = np.asarray(column.unmasked if hasattr(column, "unmasked") else column)
    if isinstance(column, MaskedColumn):
        values = np.asarray(column.filled() if column.dtype.kind == "U" else column.data.data)
    return pa.array(values, mask=mask if mask is not None and mask.shape == values.shape else None)
