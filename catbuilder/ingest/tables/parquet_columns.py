"""Read the columns of Parquet files: types, units and frame, and one set of columns for parts that differ harmlessly.

Units come from the metadata of a column (`unit`), or from those of the file: the table that astropy writes
(`table_meta_yaml`), or the VOTable of a VOParquet file (IVOA note VOParquet, version 1.0).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from catbuilder.core.errors import InputError
from catbuilder.core.safe_text import in_one_line
from catbuilder.ingest.tables.astropy_metadata import AstropyMetadata, read_astropy_yaml
from catbuilder.ingest.tables.frames import frame_in
from catbuilder.ingest.tables.table_file import FileColumn, folded_name, sql_type, unit_text
from catbuilder.ingest.tables.votable_header import parse_header

_WHOLE = ("TINYINT", "UTINYINT", "SMALLINT", "USMALLINT", "INTEGER", "UINTEGER", "BIGINT", "UBIGINT", "HUGEINT")
_REAL = ("FLOAT", "DOUBLE")
_EMPTY = ""  # type of a column that holds nothing but NULL in a part; distinct from None, no single value


@dataclass(frozen=True)
class Footer:
    """What a Parquet file says of itself.

    Attributes
    ----------
    part : the file
    types : DuckDB's type of each column by its name, "" if it is always NULL, None if its cells are no single values
    units : the unit of each column that has one
    masks : the column of truth values that says where a column has no value, as astropy writes masked columns
    frames : the coordinate frame of each column that states its own
    frame : the frame of the positions in other columns, "" if it is not stated
    rows : number of rows
    """

    part: Path
    types: dict[str, str | None]
    units: dict[str, str]
    masks: dict[str, str]
    frames: dict[str, str]
    frame: str
    rows: int


def read_footer(part: Path) -> Footer:
    """Read the footer of a Parquet file.

    Raises
    ------
    InputError
        It is no Parquet file, or has a column twice.
    """
    try:
        file = pq.ParquetFile(part)
        schema, rows = file.schema_arrow, file.metadata.num_rows
        file.close()
        metadata = {str(key, "utf-8", "replace"): value for key, value in (schema.metadata or {}).items()}
        stated = _of_file(metadata)
        units = stated.units | {field.name: unit for field in schema if (unit := unit_text(field))}
    # damaged metadata make pyarrow, YAML and astropy raise errors of many kinds
    except Exception as error:
        reason = in_one_line(error) or type(error).__name__
        raise InputError(f"{part} cannot be read as Parquet ({reason}); fetch or write it again") from None
    names = [folded_name(name) for name in schema.names]
    repeated = next((name for name in names if names.count(name) > 1), None)
    if repeated is not None:
        raise InputError(f"{part} has the column '{in_one_line(repeated, 60)}' twice; keep one of them")
    types = {field.name: _type(field.type) for field in schema}
    masks = {name: mask for name, mask in stated.masks.items() if types.get(name) and types.get(mask) == "BOOLEAN"}
    return Footer(part, types, units, masks, stated.frames, stated.frame, rows)


def unite(footers: Sequence[Footer]) -> list[FileColumn]:
    """Give the columns of all parts together.

    Whole numbers of different widths become the widest, whole and real numbers real ones. A column that a part lacks,
    or holds as another kind of thing, has a `fault`: it matters only if the column is needed.
    """
    first: dict[str, str] = {}
    for footer in footers:
        for name in footer.types:
            first.setdefault(folded_name(name), name)
    by_part = [(footer, {folded_name(name): kind for name, kind in footer.types.items()}) for footer in footers]
    columns = []
    for key, name in first.items():
        kinds = {kinds.get(key, "missing"): footer.part for footer, kinds in reversed(by_part)}
        lacking = kinds.pop("missing", None)
        column = _united(name, kinds)
        if lacking is not None:
            column = replace(column, fault=f"is missing in {lacking}")
        unit, *others = {unit: None for footer, _ in by_part if (unit := _unit_of(footer, key)) is not None} or [""]
        if others:
            column = replace(column, fault=f"has the unit '{unit}' in one part and '{others[0]}' in another")
        frame, *others = {_frame_of(footer, key): None for footer, kinds in by_part if key in kinds}
        if others:
            column = replace(column, fault=f"is in the frame '{frame}' in one part and '{others[0]}' in another")
        columns.append(replace(column, unit=unit, frame=frame))
    return columns


def stated_frame(footers: Sequence[Footer]) -> str:
    """Give the frame that the parts state.

    Raises
    ------
    InputError
        They state different ones.
    """
    frames = {footer.frame: footer.part for footer in reversed(footers)}
    if len(frames) > 1:
        (one, part), (other, there), *_ = frames.items()
        raise InputError(f"{part} states the frame '{one}' and {there} '{other}'; give parts of one table")
    return next(iter(frames), "")


def _type(kind: pa.DataType) -> str | None:
    if pa.types.is_null(kind):
        return _EMPTY
    if pa.types.is_temporal(kind) and not pa.types.is_interval(kind):
        return "VARCHAR"
    return sql_type(kind) or None


def _unit_of(footer: Footer, key: str) -> str | None:
    """Return the unit of a column; None if the part has no such column or only NULLs in it."""
    name = next((name for name in footer.types if folded_name(name) == key), None)
    return None if name is None or footer.types[name] == _EMPTY else footer.units.get(name, "")


def _frame_of(footer: Footer, key: str) -> str:
    """Return the frame of a column, "" if it states none of its own."""
    return next((frame for name, frame in footer.frames.items() if folded_name(name) == key), "")


def _united(name: str, kinds: Mapping[str | None, Path]) -> FileColumn:
    """Give the one type of a column that has these types in some part each."""
    some = [kind for kind in kinds if kind != _EMPTY]
    if not some:
        return FileColumn(name, "VARCHAR")
    if len(some) == 1 or None in some:
        return FileColumn(name, some[0] if len(some) == 1 and some[0] else "")
    numbers = [kind for kind in some if kind in (*_WHOLE, *_REAL) or str(kind).startswith("DECIMAL")]
    if len(numbers) < len(some):
        (one, part), (other, there), *_ = ((kind, kinds[kind]) for kind in reversed(some))
        return FileColumn(name, "", fault=f"is {one} in {part} and {other} in {there}")
    if all(kind in _WHOLE for kind in some):
        return FileColumn(name, _widest([str(kind) for kind in some]))
    return FileColumn(name, "DOUBLE")


def _widest(kinds: Iterable[str]) -> str:
    widest = max(kinds, key=_WHOLE.index)
    return "HUGEINT" if widest == "UBIGINT" else "BIGINT" if widest != "HUGEINT" else widest


def _of_file(metadata: Mapping[str, bytes]) -> AstropyMetadata:
    """Units, masks and frames in the metadata of the file: of astropy, and of a VOTable without rows."""
    keys = {key.lower(): value.decode("utf-8", "replace") for key, value in metadata.items()}
    found = AstropyMetadata()
    if "table_meta_yaml" in keys:
        found = read_astropy_yaml(keys["table_meta_yaml"].splitlines())
    frame = frame_in(keys) or found.frame
    if "ivoa.votable-parquet.content" in keys:
        header = parse_header(keys["ivoa.votable-parquet.content"])
        columns = [column for table in header.tables for column in table.columns]
        units = {column.name: column.unit for column in columns if column.unit}
        frames = {column.name: stated for column in columns if (stated := header.frame_of(column))}
        found = replace(found, units=found.units | units, frames=found.frames | frames)
        frame = frame or header.frame
    return replace(found, frame=frame)
