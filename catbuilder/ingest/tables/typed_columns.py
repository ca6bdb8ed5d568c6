"""Convert the cells of a catalogue file to typed columns, and find records that cannot be used.

This is SQL that DuckDB runs while the file streams, since ten million records are too many for Python. The SQL is built
from our own column names, the archives' names in `archives`, and names of kept columns that were checked to be plain
words. Everything else from the user is bound as a parameter.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import duckdb
import numpy as np
import pyarrow as pa
from duckdb.func import PythonUDFType

from catbuilder.catalogue.connection import Connection, fetch_number, first_row, was_interrupted
from catbuilder.catalogue.schema import apply_views, column_names, keep_column
from catbuilder.core.errors import InputError
from catbuilder.core.resources import query
from catbuilder.core.safe_text import in_one_line
from catbuilder.core.sky import healpix_cell
from catbuilder.ingest.tables.archives import Archive, Measurement
from catbuilder.ingest.tables.positions import PositionColumns
from catbuilder.ingest.tables.table_file import FileColumn, Progress, TableFile, folded_name
from catbuilder.ingest.tables.units import UNCHANGED, Conversion, conversion_of, describe

_PLAIN_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,62}")
_WHOLE = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "HUGEINT")
_REAL = ("FLOAT", "DOUBLE")
_BITS = {8: "TINYINT", 16: "SMALLINT", 32: "INTEGER", 64: "BIGINT", 128: "HUGEINT"}
_KINDS = {
    "BOOLEAN": "true or false", "FLOAT": "a number of at most 3.4e38", "DOUBLE": "a number of at most 1.8e308",
    **{f"{prefix}{name}": f"a whole number from {low:,} to {high:,}" for bits, name in _BITS.items()
       for prefix, low, high in (("", -(2 ** (bits - 1)), 2 ** (bits - 1) - 1), ("U", 0, 2**bits - 1))},
}  # fmt: skip
_WHOLE_TEXT = r"[+-]?\d+(\.0*)?"
_MANY = 40  # column names that a message lists
_LONGEST_NAME, _LONGEST_REASON = 60, 300  # letters


@dataclass(frozen=True)
class TypedColumn:
    """A column that is read: its place in the file, and the column of the catalogue that it fills."""

    cell: FileColumn
    measurement: Measurement
    guessed: bool = False  # a kept column of a file without types: read as text; all cells together decide its type
    conversion: Conversion = UNCHANGED

    @property
    def ours(self) -> str:
        """Name in the catalogue."""
        return self.measurement.ours


@dataclass(frozen=True)
class FileLayout:
    """The columns of a file that are read."""

    object_id: FileColumn
    position: PositionColumns
    of_objects: tuple[TypedColumn, ...]
    of_archive: tuple[TypedColumn, ...]
    kept: tuple[TypedColumn, ...]
    missing: tuple[str, ...]  # important columns that the file lacks

    @property
    def fields(self) -> tuple[TypedColumn, ...]:
        """All columns besides id and position."""
        return self.of_objects + self.of_archive + self.kept

    @property
    def names(self) -> list[str]:
        """Columns of the file that must be read."""
        return [cell.name for cell in self.cells]

    @property
    def cells(self) -> list[FileColumn]:
        """These columns."""
        return [self.object_id, self.position.ra, self.position.dec, *(field.cell for field in self.fields)]

    def conversions(self) -> list[str]:
        """Say which columns are in other units than the catalogue's: 'RA from rad to deg'."""
        return self.position.conversions() + [
            describe(field.cell.name, field.conversion, field.measurement.quantity)
            for field in self.fields
            if field.conversion.changes
        ]


def find_columns(table: TableFile, archive: Archive, keep: Sequence[str]) -> FileLayout:
    """Find the archive's columns in the file, by their names in any case.

    Raises
    ------
    InputError
        A required column is missing, of a wrong type or in an unknown unit, or a column to keep cannot be kept.
    """
    found = {column.name.lower(): column for column in table.columns}
    needed = (archive.id_column, archive.ra, archive.dec, *archive.required)
    lacking = [name for name in needed if name.lower() not in found]
    if lacking:
        names = [in_one_line(column.name, _LONGEST_NAME) for column in table.columns]
        more = f" and {len(names) - _MANY} more" if len(names) > _MANY else ""
        raise InputError(
            f"{table.path} is not {archive.title}: it has no column {', '.join(lacking)} "
            f"(needed are {', '.join(needed)}; it has {', '.join(names[:_MANY])}{more}); "
            "name the right kind of file, or rename the columns"
        )
    known = {measurement.theirs.lower() for measurement in archive.measurements}  # these are kept in any case
    asked = [_kept(table, found, name) for name in {name.lower(): name for name in keep}.values()]
    kept = [field for field in asked if field.ours not in known]
    object_id, ra, dec = (found[name.lower()] for name in (archive.id_column, archive.ra, archive.dec))
    missing = tuple(m.theirs for m in archive.measurements if m.matters and m.theirs.lower() not in found)
    position = PositionColumns(ra, dec, table.frame, table.path)
    of_objects, of_archive = (
        _present(table, archive, measurements, found) for measurements in (archive.of_objects, archive.of_archive)
    )
    layout = FileLayout(object_id, position, of_objects, of_archive, tuple(kept), missing)
    _check_types(table, layout)
    return layout


def add_cell_functions(con: Connection) -> None:
    """Define the SQL macros that read cells, and `healpix_cell(ra, dec)`: order 29, -1 without a position."""
    for statement in con.extract_statements(query("ingest/cell_macros")):
        con.execute(statement)
    con.create_function("healpix_cell", _healpix, ["double", "double"], "bigint", type=PythonUDFType.ARROW)


def with_stored_types(layout: FileLayout, types: Mapping[str, str]) -> FileLayout:
    """Give columns kept by an earlier ingest the types that they have in the archive's table."""
    kept = [
        replace(field, guessed=False, measurement=replace(field.measurement, type=types[field.ours]))
        if field.ours in types
        else field
        for field in layout.kept
    ]
    return replace(layout, kept=tuple(kept))


def check_kept_names(con: Connection, archive: Archive, layout: FileLayout) -> None:
    """Refuse to keep a column whose name `catalog` or the archive's table uses for another column."""
    of_every = {*column_names(con, "objects"), "rowid"}
    of_archive = {measurement.ours: measurement.theirs for measurement in archive.of_archive}
    for field in layout.kept:
        if field.ours in of_every | of_archive.keys():
            owner = f" ({archive.title}'s {of_archive[field.ours]})" if field.ours in of_archive else ""
            raise InputError(
                f"--keep {field.cell.name}: the catalogue has a column {field.ours} of another meaning{owner}; rename "
                "the column in the file, or leave it out"
            )


def load_rows(
    con: Connection, table: TableFile, layout: FileLayout, sky_versions: Sequence[int] | None, other_release: str,
    progress: Progress,
) -> None:  # fmt: skip
    """Read the file into the temporary table `incoming`, and its malformed lines into `malformed`.

    Raises
    ------
    InputError
        The file is cut short, or cannot be read in the format of its name.
    """
    fields = layout.fields
    typed = [f'{_converted(field)} AS "{field.ours}"' for field in fields]
    cells = [f'{_cell(field.cell)} AS "_cell_{field.ours}"' for field in fields]
    position = layout.position
    place = {
        "object_id": _whole_positive(layout.object_id),
        "_longitude": position.degrees_sql("_ra", "ra"),
        "_latitude": position.degrees_sql("_dec", "dec"),
    }
    where = {"id": layout.object_id, "ra": position.ra, "dec": position.dec}
    position.add_functions(con)
    try:
        with table.scan(con, layout.names, progress) as scan:
            text = query("ingest/load_rows").format(
                columns="".join(f'"{field.ours}", ' for field in fields),
                faults="\n           ".join(fault for field in fields for fault in _faults(field)),
                typed=", ".join([*(f"{text} AS {name}" for name, text in place.items()), *typed]),
                placed=position.icrs_sql("_longitude", "_latitude"),
                cells=", ".join([*(f"{_cell(cell)} AS _{name}" for name, cell in where.items()), *cells]),
                source=scan.source,
            )
            names = {name: cell.name for name, cell in where.items()}
            about = {"sky_versions": sky_versions, "other_release": other_release}
            spelling = {"ra_spelling": position.spelling("ra"), "dec_spelling": position.spelling("dec")}
            con.execute(text, {**scan.parameters, **names, **about, **spelling})
    except (duckdb.OutOfMemoryException, duckdb.InterruptException, duckdb.FatalException):
        raise
    except duckdb.Error as error:
        if was_interrupted(error):
            raise
        reason = in_one_line(str(error).strip().splitlines()[0], _LONGEST_REASON)
        raise InputError(f"{table.path} cannot be read ({reason}); fetch or write it again") from None
    find_malformed_lines(con, table, layout.object_id.name, fetch_number(con, "SELECT count(*) FROM incoming"))


def find_malformed_lines(con: Connection, table: TableFile, object_id: str | None, records: int) -> None:
    """Make the temporary table `malformed` of the lines that a scan could not read, and check that no other is missing.

    Parameters
    ----------
    object_id : name of the column of ids, if there is one
    records : number of rows that the scan gave

    Raises
    ------
    InputError
        Rows are neither among the records nor among the malformed lines.
    """
    names = [folded_name(column.name) for column in table.columns]
    place = names.index(folded_name(object_id)) + 1 if object_id is not None else 0
    by_lines = table.malformed == "ingest/malformed_csv_lines"
    con.execute(query(table.malformed), {"id_place": place} if by_lines else {})
    table.check_whole(con, records)


def add_kept_columns(con: Connection, archive: Archive, layout: FileLayout) -> FileLayout:
    """Add kept columns to the archive's table; a column of texts becomes numeric if all its texts are numbers."""
    there = set(column_names(con, archive.table))
    kept = []
    for field in layout.kept:
        if field.guessed:
            field = replace(field, measurement=replace(field.measurement, type=_type_of_texts(con, field.ours)))
        if field.ours not in there:
            keep_column(con, archive.table, field.ours, field.measurement.type, field.cell.unit, field.cell.name)
        kept.append(field)
    if {field.ours for field in kept} - there:
        apply_views(con)
    return replace(layout, kept=tuple(kept))


def accept_rows(con: Connection, archive: Archive, layout: FileLayout) -> bool:
    """Find repeated ids, and make the view `accepted` of the records that can be used.

    Returns
    -------
    Whether these are in the order of their ids, as archives export a table sorted by its key.
    """
    in_order = fetch_number(con, query("ingest/count_ids_out_of_order")) == 0
    con.execute(query("ingest/no_repeated_ids" if in_order else "ingest/find_repeated_ids"))
    ours = {field.ours for field in layout.fields}
    magnitudes = [
        f"{name if name in ours else 'CAST(NULL AS FLOAT)'} AS {name}" for name in ("mag_g", "mag_r", "mag_i")
    ]
    measured = [f'{_measured(field)} AS "{field.ours}"' for field in layout.fields]
    con.execute(
        query("ingest/accepted_rows_view").format(
            magnitudes=", ".join(magnitudes),
            radius=archive.radius_arcsec if ours.issuperset(archive.radius_needs) else "NULL",
            columns="".join(f', "{field.ours}"' for field in layout.of_archive + layout.kept),
            measured="".join(f", {text}" for text in measured),
        )
    )
    return in_order


def count_sentinels(con: Connection, layout: FileLayout) -> dict[str, int]:
    """Count the values of each column that mean 'not measured'."""
    marked = [field for field in layout.fields if field.measurement.sentinels]
    if not marked:
        return {}
    counts = [f'count(*) FILTER ("{field.ours}" IN {_listed(field.measurement.sentinels)})' for field in marked]
    text = f"SELECT {', '.join(counts)} FROM incoming WHERE _reason IS NULL"
    row = first_row(con, text) or ()
    return {field.cell.name: count for field, count in zip(marked, row, strict=True) if count}


def count_without_magnitude(con: Connection, layout: FileLayout) -> dict[str, int]:
    """Count the fluxes of each column that are not positive and so have no magnitude."""
    fluxes = [field for field in layout.fields if field.conversion.is_flux]
    if not fluxes:
        return {}
    counts = ", ".join(f"count(*) FILTER (\"{field.ours}\" = 'infinity')" for field in fluxes)
    row = first_row(con, f"SELECT {counts} FROM incoming WHERE _reason IS NULL") or ()
    return {field.cell.name: count for field, count in zip(fluxes, row, strict=True) if count}


def _healpix(ra: pa.ChunkedArray, dec: pa.ChunkedArray) -> pa.Array:
    return pa.array(healpix_cell(np.asarray(ra), np.asarray(dec)))


def _present(
    table: TableFile, archive: Archive, measurements: Sequence[Measurement], found: Mapping[str, FileColumn]
) -> tuple[TypedColumn, ...]:
    there = [(found[m.theirs.lower()], m) for m in measurements if m.theirs.lower() in found]
    return tuple(
        TypedColumn(
            cell, m, conversion=conversion_of(cell, m.quantity, table.path, arcsec_per_pixel=archive.arcsec_per_pixel)
        )
        for cell, m in there
    )


def _kept(table: TableFile, found: Mapping[str, FileColumn], name: str) -> TypedColumn:
    if not _PLAIN_NAME.fullmatch(name):
        raise InputError(
            f"--keep '{name}': a column to keep needs a name of letters, digits and _; rename it in the file"
        )
    if name.lower() not in found:
        raise InputError(
            f"--keep {name}: {table.path} has no such column (it has {', '.join(found)}); name one of them"
        )
    cell = found[name.lower()]
    kind = "DOUBLE" if cell.type.startswith("DECIMAL") else cell.type
    return TypedColumn(cell, Measurement(cell.name, name.lower(), kind), guessed=not table.typed)


def _check_types(table: TableFile, layout: FileLayout) -> None:
    for cell in layout.cells:
        check_usable(table, cell)
    if layout.object_id.type == "BOOLEAN":
        raise InputError(
            f"column {layout.object_id.name} of {table.path} holds truth values; export the ids as 64-bit integers"
        )
    if layout.object_id.type in _REAL:
        raise InputError(
            f"column {layout.object_id.name} of {table.path} holds floating-point numbers, which rounded the ids "
            "beyond 2^53; export it as 64-bit integers"
        )


def check_usable(table: TableFile, cell: FileColumn) -> None:
    """Refuse a column that is needed and whose cells are no plain values, or differ in kind from part to part.

    Raises
    ------
    InputError
        It is such a column.
    """
    if cell.fault:
        raise InputError(f"column {cell.name} of {table.path} {cell.fault}; give parts of one table")
    if not cell.type:
        raise InputError(
            f"column {cell.name} of {table.path} does not hold one value per row (a number, a text or a truth value); "
            "make it a plain column"
        )


def _cell(cell: FileColumn) -> str:
    """SQL of a cell as it is, NULL if it is empty or NaN."""
    if cell.type == "VARCHAR":
        return f'cell("{cell.name}")'
    if cell.type in _REAL:
        return f'without_nan("{cell.name}")'
    return f'"{cell.name}"'


def _converted(field: TypedColumn) -> str:
    """SQL of the value in the catalogue's type and unit; numbers that mean 'not measured' stay as they are."""
    cell, target = f"_cell_{field.ours}", field.measurement.type
    if not field.conversion.changes:
        return _typed(field.cell.type, target, cell)
    number = f'TRY_CAST("{cell}" AS DOUBLE)'
    converted = field.conversion.sql(number)
    if field.measurement.sentinels and not field.conversion.is_flux:  # as a flux, 99 is a value
        converted = f"CASE WHEN {number} IN {_listed(field.measurement.sentinels)} THEN {number} ELSE {converted} END"
    return f"TRY_CAST({converted} AS {target})"


def _typed(source: str, target: str, cell: str) -> str:
    """SQL of the cell in the catalogue's type, NULL if it cannot be converted."""
    if source == target:
        return f'"{cell}"'
    if target in _WHOLE and source not in (*_WHOLE, "BOOLEAN"):  # DuckDB rounds 1.5 to 2 silently
        is_text = source == "VARCHAR"
        whole = f"regexp_full_match(\"{cell}\", '{_WHOLE_TEXT}')" if is_text else f'"{cell}" = trunc("{cell}")'
        return f'CASE WHEN {whole} THEN TRY_CAST("{cell}" AS {target}) END'
    return f'TRY_CAST("{cell}" AS {target})'


def _faults(field: TypedColumn) -> list[str]:
    """Branches of the CASE that states what is wrong with a record."""
    name, ours, target = field.cell.name, field.ours, field.measurement.type
    faults = []
    if field.cell.type != target or field.conversion.changes:
        faults.append(
            f'WHEN "_cell_{ours}" IS NOT NULL AND "{ours}" IS NULL '
            f"THEN '{name} is ''' || left(CAST(\"_cell_{ours}\" AS VARCHAR), 80) || ''', "
            f"which is not {_KINDS.get(target, target)}'"
        )
    if field.measurement.limits:
        low, high = field.measurement.limits
        faults.append(
            f'WHEN "{ours}" NOT BETWEEN {low} AND {high} '
            f"THEN '{name} is ' || CAST(\"{ours}\" AS VARCHAR) || ', outside {low:g} to {high:g}'"
        )
    return faults


def _whole_positive(cell: FileColumn) -> str:
    check = r"regexp_full_match(_id, '\d+')" if cell.type == "VARCHAR" else "_id >= 0"
    if cell.type not in (*_WHOLE, "VARCHAR"):  # a decimal: DuckDB would round
        check += " AND _id = trunc(_id)"
    return f"CASE WHEN {check} THEN TRY_CAST(_id AS BIGINT) END"


def _measured(field: TypedColumn) -> str:
    """SQL of a value, NULL if it is not finite or means 'not measured'."""
    kind, sentinels, checks = field.measurement.type, field.measurement.sentinels, []
    name = f'TRY_CAST("{field.ours}" AS {kind})' if field.guessed else f'"{field.ours}"'
    if kind in _REAL:
        checks.append(f"isfinite({name})")
    if sentinels:
        checks.append(f"{name} NOT IN {_listed(sentinels)}")
    return f"CASE WHEN {' AND '.join(checks)} THEN {name} END" if checks else name


def _listed(numbers: Sequence[float]) -> str:
    return f"({', '.join(f'{number:g}' for number in numbers)})"


def _type_of_texts(con: Connection, ours: str) -> str:
    """BIGINT or DOUBLE if every text is such a number, else VARCHAR; 007 is a text."""
    for kind in ("BIGINT", "DOUBLE"):
        number = _typed("VARCHAR", kind, ours)
        fits = f"{number} IS NOT NULL AND NOT regexp_matches(\"{ours}\", '^[+-]?0\\d')"
        text = f'SELECT bool_and({fits}) FROM incoming WHERE "{ours}" IS NOT NULL'
        row = first_row(con, text)
        if row and row[0]:
            return kind
    return "VARCHAR"
