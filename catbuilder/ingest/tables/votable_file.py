"""Read the first table of a VOTable file into DuckDB."""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from xml.parsers import expat

import numpy as np
import pyarrow as pa
from astropy.io import votable

from catbuilder.catalogue.connection import Connection
from catbuilder.core.errors import InputError
from catbuilder.core.safe_text import in_one_line
from catbuilder.core.settings import Limits
from catbuilder.ingest.tables.table_file import FileColumn, Progress, Scan, TableFile, sql_type, unit_text

_VOTABLE_TYPES = {
    "boolean": pa.bool_(), "bit": pa.bool_(), "unsignedByte": pa.uint8(), "short": pa.int16(), "int": pa.int32(),
    "long": pa.int64(), "float": pa.float32(), "double": pa.float64(),
}  # fmt: skip


class VotableFile(TableFile):
    """The first table of a VOTable; astropy parses the wanted columns as a whole, in memory."""

    def __init__(self, path: Path, limits: Limits) -> None:
        size = path.stat().st_size
        if size > limits.max_votable_mb * 1_000_000:
            raise InputError(
                f"{path} is a VOTable of {size / 1e6:,.0f} MB, above the limit of "
                f"{limits.max_votable_mb:,} MB, and would be held in memory; convert it to FITS or Parquet (TOPCAT can)"
            )
        self._fields = _votable_fields(path)
        super().__init__(path, [FileColumn(f.name, sql_type(f.type), unit_text(f)) for f in self._fields], limits)

    @contextmanager
    def scan(self, con: Connection, names: Sequence[str], progress: Progress) -> Iterator[Scan]:
        """Read the rows into memory."""
        places = [place for place, field in enumerate(self._fields) if field.name in names]
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # most archives' VOTables deviate from the standard
                table = votable.parse(self.path, columns=places).get_first_table()
            wanted = [self._fields[place] for place in places]
            cells = [table.array[name] for name in table.array.dtype.names] if places else []
            arrays = [_masked_to_arrow(values, field.type) for values, field in zip(cells, wanted, strict=True)]
        # Damaged content makes astropy raise errors of many kinds: ValueError, IndexError, AttributeError ...
        except Exception as error:
            raise _no_votable(self.path, error) from None
        con.register("file_stream", pa.table(arrays, schema=pa.schema(wanted)))
        try:
            yield Scan("file_stream", {})
        finally:
            con.unregister("file_stream")


def _votable_fields(path: Path) -> list[pa.Field]:
    """The columns that the first table declares.

    The whole text is parsed once, in C, to refuse two dangers: a STREAM href, which makes astropy fetch any file or
    address, and entities that expand to gigabytes.
    """
    fields: list[pa.Field] = []
    tables = 0

    def begins(tag: str, attributes: dict[str, str]) -> None:
        nonlocal tables
        kind = tag.rpartition(":")[2]
        tables += kind == "TABLE"
        if kind == "STREAM" and attributes.get("href"):
            raise _Forbidden("its rows are at another address (STREAM href), which is not followed")
        if kind == "FIELD" and tables <= 1:
            name = attributes.get("name") or attributes.get("ID") or ""
            unit = {"unit": attributes.get("unit", "")}
            fields.append(pa.field(name, _votable_type(attributes), metadata=unit))

    def defines(*_: object) -> None:
        raise _Forbidden("it defines XML entities, which no VOTable needs")

    parser = expat.ParserCreate()
    parser.StartElementHandler, parser.EntityDeclHandler = begins, defines
    try:
        with open(path, "rb") as file:
            parser.ParseFile(file)
    # ExpatError, LookupError of an unknown encoding, our own _Forbidden ...
    except Exception as error:
        raise _no_votable(path, error) from None
    if not fields:
        raise InputError(f"{path} holds no table; give a VOTable with the catalogue in its first TABLE")
    return fields


class _Forbidden(Exception):
    """Raised and caught in this module: the VOTable uses a feature that is refused."""


def _no_votable(path: Path, error: Exception) -> InputError:
    reason = in_one_line(error) or type(error).__name__
    return InputError(f"{path} cannot be read as a VOTable ({reason}); fetch it again, or save it as FITS (TOPCAT can)")


def _votable_type(attributes: dict[str, str]) -> pa.DataType:
    kind, size = attributes.get("datatype", ""), attributes.get("arraysize", "1")
    if kind in ("char", "unicodeChar"):
        return pa.string() if "x" not in size else pa.null()
    return _VOTABLE_TYPES.get(kind, pa.null()) if size == "1" else pa.null()


def _masked_to_arrow(values: np.ma.MaskedArray, kind: pa.DataType) -> pa.Array:
    if pa.types.is_string(kind):
        return pa.array([None if text is np.ma.masked else str(text) for text in values], kind)
    return pa.array(np.ma.getdata(values), kind, mask=np.ma.getmaskarray(values))
