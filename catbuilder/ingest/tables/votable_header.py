"""Read what a VOTable says about its tables: columns, coordinate frames, and how the service answered.

The whole text is parsed once, in C, to refuse two dangers: a STREAM href, which makes astropy fetch any file or
address, and entities that expand to gigabytes.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.parsers import expat

import pyarrow as pa

from catbuilder.core.errors import InputError
from catbuilder.core.safe_text import in_one_line
from catbuilder.core.settings import Limits
from catbuilder.ingest.tables.packed_file import open_unpacked, packing

_TYPES = {
    "boolean": pa.bool_(), "bit": pa.bool_(), "unsignedByte": pa.uint8(), "short": pa.int16(), "int": pa.int32(),
    "long": pa.int64(), "float": pa.float32(), "double": pa.float64(), "char": pa.string(), "unicodeChar": pa.string(),
}  # fmt: skip
# Names that services write and the standard does not have
_OTHER_NAMES = {
    "string": "char", "unicodeString": "unicodeChar", "int16": "short", "int32": "int", "int64": "long",
    "float32": "float", "float64": "double", "unsignedShort": "int", "unsignedInt": "long", "integer": "long",
}  # fmt: skip
_SERIALISATIONS = ("TABLEDATA", "BINARY", "BINARY2", "FITS", "PARQUET")
_CHUNK_BYTES = 1 << 20
_LONGEST_ANSWER = 500  # letters of a service's words


@dataclass(frozen=True)
class VotableColumn:
    """A FIELD: its Arrow type is null if a cell is not a single value."""

    name: str
    kind: pa.DataType
    datatype: str
    unit: str = ""
    ref: str = ""
    id: str = ""
    null: list[str] = field(default_factory=list)  # the text that means no value, if there is one


@dataclass
class VotableTable:
    """A TABLE: its number in the file (from 1), its columns and how its rows are written ("" if it has none)."""

    number: int
    name: str
    id: str
    ref: str
    rows: int | None
    columns: list[VotableColumn] = field(default_factory=list)
    serialisation: str = ""


@dataclass
class FrameGroup:
    """A GROUP (or what precedes the first): the coordinate frame that a PARAM in it states, and the FIELDs it lists."""

    frame: str = ""
    fields: list[str] = field(default_factory=list)


@dataclass
class VotableHeader:
    """All but the rows.

    Attributes
    ----------
    systems : coordinate frame of each COOSYS, by its ID
    groups : coordinate frames that are stated without a COOSYS
    overflow, error : the service's words if it cut the result, or failed; else None
    complaint : its words as simple services tell them, which have no QUERY_STATUS
    """

    tables: list[VotableTable] = field(default_factory=list)
    systems: dict[str, str] = field(default_factory=dict)
    groups: list[FrameGroup] = field(default_factory=list)
    overflow: str | None = None
    error: str | None = None
    complaint: str | None = None

    @property
    def tables_with_rows(self) -> list[VotableTable]:
        """The tables that have rows, or all if none has: services describe tables of theirs without rows."""
        return [table for table in self.tables if table.serialisation] or self.tables

    def frame_of(self, column: VotableColumn) -> str:
        """The frame that a column refers to, or that the group states which lists it; "" if there is none."""
        listing = (group.frame for group in self.groups if column.id and column.id in group.fields)
        return self.systems.get(column.ref) or next(filter(None, listing), "")

    @property
    def frame(self) -> str:
        """The frame of columns that refer to none: the only one that no column refers to; "" if there is none.

        By the standard, a COOSYS counts for the columns that refer to it; simple services write one without references.
        """
        referred = {column.ref for table in self.tables for column in table.columns}
        for_all = [frame for name, frame in self.systems.items() if name not in referred]
        for_all += [group.frame for group in self.groups if not group.fields]
        found = [frame for frame in dict.fromkeys(for_all) if frame]
        return found[0] if len(found) == 1 else ""


class Forbidden(Exception):
    """Raised and caught in the readers of VOTables: the file uses a feature that is refused."""


def no_votable(path: Path, error: Exception) -> InputError:
    """Make the error for a file that cannot be read as a VOTable."""
    if isinstance(error, InputError):
        return error
    reason = in_one_line(error) or type(error).__name__
    return InputError(f"{path} cannot be read as a VOTable ({reason}); fetch it again, or save it as FITS (TOPCAT can)")


def read_votable_header(path: Path, limits: Limits) -> VotableHeader:
    """Parse the file, in little memory.

    Raises
    ------
    InputError
        It is above the limit of size, unpacked; it is not a VOTable or uses a forbidden feature; it has no table, or
        the service says that an error occurred.
    """
    parser = _HeaderParser()
    try:
        for chunk in unpacked_chunks(path, limits.max_votable_mb):
            parser.expat.Parse(chunk, False)
        parser.expat.Parse(b"", True)
    # ExpatError, LookupError of an unknown encoding, what unpacking raises, our own Forbidden ...
    except Exception as error:
        raise no_votable(path, error) from None
    header = parser.header
    if header.error is None and not header.tables:
        header.error = header.complaint
    if header.error is not None:
        words = in_one_line(header.error, _LONGEST_ANSWER) or "no reason is given"
        raise InputError(f"{path} says that the service failed: {words}; correct the query, and fetch the table again")
    if not any(table.columns for table in header.tables):
        raise InputError(f"{path} holds no table; give a VOTable with the catalogue in a TABLE")
    header.tables = [table for table in header.tables if table.columns]
    return header


def parse_header(text: str) -> VotableHeader:
    """Parse a VOTable without rows, which may refer to them elsewhere. Raises what the parser raises."""
    parser = _HeaderParser(may_refer=True)
    parser.expat.Parse(text, True)
    return parser.header


def unpacked_chunks(path: Path, most_mb: int) -> Iterator[bytes]:
    """Give the bytes of a file, unpacked, up to a limit of size."""
    left = most_mb * 1_000_000
    too_large = InputError(
        f"{path} is a VOTable of more than {most_mb:,} MB unpacked, which is the limit, and would be held in memory; "
        "convert it to FITS or Parquet (TOPCAT can)"
    )
    if not packing(path) and path.stat().st_size > left:
        raise too_large
    with open_unpacked(path) as file:
        while chunk := file.read1(_CHUNK_BYTES):
            left -= len(chunk)
            if left < 0:
                raise too_large
            yield chunk


class _HeaderParser:
    """Collects a header from the elements of a VOTable."""

    def __init__(self, *, may_refer: bool = False) -> None:
        self._group = FrameGroup()
        self.header = VotableHeader(groups=[self._group])
        self._may_refer = may_refer
        self.expat = expat.ParserCreate()
        self.expat.StartElementHandler, self.expat.EntityDeclHandler = self._begins, _defines
        self._by_id: dict[str, VotableTable] = {}
        self._table: VotableTable | None = None
        self._within = ""
        self._info: dict[str, str] = {}
        self._words: list[str] = []

    def _begins(self, tag: str, attributes: dict[str, str]) -> None:
        kind = tag.rpartition(":")[2]
        if kind in ("TR", "TD"):
            return
        if kind in ("FIELD", "PARAM", "TABLE", "RESOURCE"):
            self._within = kind
        header, get = self.header, attributes.get
        if kind == "STREAM" and get("href") and not self._may_refer:
            raise Forbidden("its rows are at another address (STREAM href), which is not followed")
        if kind == "TABLE":
            self._begin_table(get("name", ""), get("ID", ""), get("ref", ""), get("nrows", ""))
        elif kind == "FIELD" and self._table is not None:
            self._table.columns.append(_column(attributes))
        elif kind == "VALUES" and self._table is not None and self._within == "FIELD" and "null" in attributes:
            self._table.columns[-1].null[:] = [attributes["null"].strip()]
        elif kind in _SERIALISATIONS and self._table is not None:
            self._table.serialisation = kind
        elif kind == "COOSYS":
            header.systems[get("ID", str(len(header.systems)))] = _system(attributes)
        elif kind == "GROUP":
            self._group = FrameGroup()
            header.groups.append(self._group)
        elif kind == "FIELDref":
            self._group.fields.append(get("ref", ""))
        elif kind == "PARAM" and get("utype", "").endswith("CoordRefFrame"):
            self._group.frame = get("value", "").strip().upper()
        elif kind == "PARAM" and get("name", "").upper() == "ERROR":
            header.complaint = get("value", "")
        elif kind == "INFO":
            self._info, self._words = attributes, []
            self.expat.CharacterDataHandler, self.expat.EndElementHandler = self._words.append, self._ends

    def _begin_table(self, name: str, id_: str, ref: str, rows: str) -> None:
        self._table = VotableTable(
            len(self.header.tables) + 1, name.strip() or id_, id_, ref, int(rows) if rows.isdecimal() else None
        )
        if ref and ref in self._by_id:  # columns declared once for several tables
            self._table.columns += self._by_id[ref].columns
        self._by_id[id_] = self._table
        self.header.tables.append(self._table)

    def _ends(self, tag: str) -> None:
        self.expat.CharacterDataHandler = self.expat.EndElementHandler = None
        name, value = self._info.get("name", "").upper(), self._info.get("value", "")
        words = in_one_line("".join(self._words), _LONGEST_ANSWER)
        if name == "QUERY_STATUS" and value.strip().upper() == "OVERFLOW":
            self.header.overflow = words
        elif name == "QUERY_STATUS" and value.strip().upper() == "ERROR":
            self.header.error = words
        elif name == "ERROR":
            self.header.complaint = words or value


def _defines(*_: object) -> None:
    raise Forbidden("it defines XML entities, which no VOTable needs")


def _column(attributes: dict[str, str]) -> VotableColumn:
    get: Any = attributes.get
    datatype = _OTHER_NAMES.get(get("datatype", ""), get("datatype", ""))
    kind = _TYPES.get(datatype, pa.null()) if _is_single(datatype, get("arraysize", "1")) else pa.null()
    name = get("name") or get("ID") or ""
    return VotableColumn(name, kind, datatype, get("unit", "").strip(), get("ref", ""), get("ID", ""))


def _is_single(datatype: str, arraysize: str) -> bool:
    """Whether a cell is one value: a text, or an array of one element (VOTable 1.3, erratum 3)."""
    sides = arraysize.strip().removesuffix("*").split("x")
    if datatype in ("char", "unicodeChar"):
        sides = sides[1:]  # the first is the length of the text
    return all(side.strip() in ("1",) for side in sides)


def _system(attributes: dict[str, str]) -> str:
    """Frame of a COOSYS, such as "FK5 J2000"."""
    name = attributes.get("system", "").strip()
    name = name.removeprefix("eq_").removeprefix("eq-").upper()
    equinox = attributes.get("equinox", "").strip()
    if equinox and not name:
        name = "FK4" if equinox.upper().startswith("B") else "FK5"
    return f"{name} {equinox}" if equinox and name.startswith("FK") else name
