"""Read another catalogue for a comparison: its ids, positions and classes.

Three published layouts and our own exports are recognised by their columns; for any other file the user names the
columns. The file is streamed into the temporary table `theirs`: row, object_id, ra, dec, healpix, label (one of our
classes, or NULL), code (number of the value in the column of the class that means it) and value (any other one).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import duckdb

from catbuilder.catalogue.connection import Connection, fetch_number, was_interrupted
from catbuilder.core.errors import InputError
from catbuilder.core.resources import query
from catbuilder.core.safe_text import counted, in_one_line
from catbuilder.core.user_csv import LISTED_ROWS, Rejection, list_columns
from catbuilder.ingest.tables.frames import frame_of_columns
from catbuilder.ingest.tables.positions import PositionColumns, doubt_positions
from catbuilder.ingest.tables.table_file import FileColumn, Progress, TableChoice, TableFile, folded_name
from catbuilder.ingest.tables.typed_columns import add_cell_functions, check_usable, find_malformed_lines
from catbuilder.ingest.tables.units import conversion_of, describe

EARLY, LATE = "elliptical", "spiral"
_REAL = ("FLOAT", "DOUBLE")
_MOST_VALUES = 10  # of a column that a message lists

Compared = Literal["predicted_label", "label"]


@dataclass(frozen=True)
class CatalogueColumns:
    """The columns of a file: one column with the class, or one with the share or probability of each class.

    Attributes
    ----------
    title : str
        Title of the catalogue.
    object_id : str or None
        Column of the ids.
    ra : str or None
        Column of the right ascension (ICRS, degrees, unless the file states another frame or unit).
    dec : str or None
        Column of the declination.
    label : str or None
        Column of the class.
    meanings : Mapping[str, str]
        Our class for each value in `label`.
    shares : Mapping[str, str]
        Column of the share or probability of each of our classes.
    least : float
        Smallest value of the largest share that commits the file to a class (default 0.5).
    survey : str or None
        Survey of the ids in `object_id`.
    survey_column : str or None
        Column of the survey, if the file has objects of several: only rows of the compared one are read.
    """

    title: str = ""
    object_id: str | None = None
    ra: str | None = None
    dec: str | None = None
    label: str | None = None
    meanings: Mapping[str, str] = field(default_factory=dict)
    shares: Mapping[str, str] = field(default_factory=dict)
    least: float = 0.5
    survey: str | None = None
    survey_column: str | None = None

    @property
    def classes(self) -> set[str]:
        """Return our classes that the file can name."""
        return set(self.meanings.values()) | set(self.shares)

    @property
    def named(self) -> list[str]:
        """Return the columns of the file that are read."""
        named = [self.object_id, self.ra, self.dec, self.label, self.survey_column, *self.shares.values()]
        return [name for name in named if name is not None]


def known_layout(table: TableFile, of: Compared = "predicted_label") -> CatalogueColumns | None:
    """Recognise a published catalogue by the names of its columns, in any case; None for any other file.

    Of our own exports, the column `of` is the one with the class.

    Vega-Ferrero et al. (2021, MNRAS 506, 1927): `FLAG_LTG` is 4 for robust early types and 5 for robust late types.
    Walmsley et al. (2023, MNRAS 526, 4768): predicted shares of the volunteers' answers, paired by position since its
    ids are those of the Legacy Surveys. Cheng et al. (2021, MNRAS 507, 4425): probabilities of elliptical and spiral.
    """
    return _layout([column.name for column in table.columns], of)


def choice_of_table(name: str | None, asked: CatalogueColumns) -> TableChoice:
    """Which table of a file with several is meant: the named one, or that with the asked columns or a known layout."""
    needed = {folded_name(column) for column in asked.named}
    return TableChoice(
        name or "",
        lambda names: needed <= {folded_name(column) for column in names} if needed else _layout(names) is not None,
        ", ".join(asked.named) or "those of a catalogue whose layout is known, or name yours with --id, --label ...",
    )


def _layout(columns: Sequence[str], of: Compared = "predicted_label") -> CatalogueColumns | None:
    names = {name.lower(): name for name in columns}
    if {"survey", "object_id", "ra", "dec", "label", "predicted_label", "predicted_confidence"} <= names.keys():
        return CatalogueColumns(
            "An export of catbuilder", names["object_id"], names["ra"], names["dec"], label=names[of],
            survey_column=names["survey"],
        )  # fmt: skip
    ra, dec = _first(names, "ra", "alphawin_j2000"), _first(names, "dec", "deltawin_j2000")
    if {"coadd_object_id", "flag_ltg"} <= names.keys():
        return CatalogueColumns(
            "Vega-Ferrero et al. 2021", names["coadd_object_id"], ra, dec, label=names["flag_ltg"],
            meanings={"4": EARLY, "5": LATE}, survey="des",
        )  # fmt: skip
    smooth, featured = (f"smooth-or-featured_{answer}_fraction" for answer in ("smooth", "featured-or-disk"))
    if {smooth, featured, "ra", "dec"} <= names.keys():
        return CatalogueColumns("Galaxy Zoo DESI", ra=ra, dec=dec, shares={EARLY: names[smooth], LATE: names[featured]})
    early, late = (_matching(names, pattern) for pattern in (_P_ELLIPTICAL, _P_SPIRAL))
    object_id = _first(names, "coadd_object_id", "coadd_objects_id")
    if object_id and early and late:
        return CatalogueColumns(
            "Cheng et al. 2021", object_id, ra, dec, shares={EARLY: early, LATE: late}, survey="des"
        )
    return None


def resolve_columns(
    table: TableFile, known: CatalogueColumns | None, asked: CatalogueColumns, classes: Sequence[str]
) -> CatalogueColumns:
    """Combine the columns of a known layout with those that the user asked for, and check them against the file.

    A column `label` without `meanings` holds the names of our classes.

    Raises
    ------
    InputError
        A column is missing, or the columns of the class or of the id or position are not known.
    """
    columns = known or CatalogueColumns(table.path.name)
    given = {name: value for name, value in vars(asked).items() if value != getattr(CatalogueColumns(), name)}
    if given.keys() & {"label", "shares"}:
        columns = replace(columns, title=table.path.name, label=None, meanings={}, shares={})
    columns = replace(columns, **given)
    if columns.label is not None and not columns.meanings:
        columns = replace(columns, meanings={name: name for name in classes})
    found = {folded_name(column.name): column.name for column in table.columns}
    for name in columns.named:
        if folded_name(name) not in found:
            raise InputError(f"{table.path} has no column '{name}' (it has {list_columns(list(found.values()))})")
    if columns.label is None and not columns.shares:
        raise InputError(
            f"{table.path} has no known layout (it has {list_columns(list(found.values()))}); name the column of the "
            "class with --label and its values with --class elliptical=E, or give --share elliptical=COLUMN"
        )
    if columns.object_id is None and (columns.ra is None or columns.dec is None):
        raise InputError(
            f"the id and position columns of {table.path} are not known, so its objects cannot be paired; give "
            "--id COLUMN, or --ra COLUMN and --dec COLUMN"
        )
    return columns


def read_other_catalogue(
    con: Connection, table: TableFile, columns: CatalogueColumns, survey: str, by_position: bool, progress: Progress
) -> list[str]:
    """Stream the file into the temporary table `theirs`.

    Parameters
    ----------
    survey : the survey whose rows are read, if the file has a column of it
    by_position : read positions, and compute `healpix`, which takes longer than the rest

    Returns
    -------
    Sentences on units and frames that were converted, on positions that look like hours, and on rows of other surveys.

    Raises
    ------
    InputError
        The ids are floating-point numbers, a column cannot be used, or the file is damaged.
    """
    kinds = {folded_name(column.name): column for column in table.columns}
    columns = _as_in_file(columns, kinds)
    if not by_position:
        columns = replace(columns, ra=None, dec=None)
    for name in columns.named:
        check_usable(table, kinds[folded_name(name)])
    if columns.object_id is not None and kinds[folded_name(columns.object_id)].type in _REAL:
        raise InputError(
            f"column {columns.object_id} of {table.path} holds floating-point numbers, which round ids above 2^53; "
            "export it as 64-bit integers, or pair by position: --by position"
        )
    position = _position(table, kinds, columns)
    add_cell_functions(con)
    if position:
        position.add_functions(con)
    try:
        with table.scan(con, columns.named, progress) as scan:
            text = query("inspection/compare_read_other").format(
                object_id=_whole_number(kinds, columns.object_id),
                place=_place(position),
                icrs=position.icrs_sql("longitude", "latitude") if position else "longitude AS ra, latitude AS dec",
                of_survey=_of_survey(kinds, columns.survey_column),
                **_label(table, kinds, columns),
                source=scan.source,
            )
            given = {**_bound(columns), "survey": survey, "with_cells": by_position}
            con.execute(text, {**scan.parameters, **given})
    except duckdb.Error as error:
        if was_interrupted(error) or isinstance(error, duckdb.OutOfMemoryException | duckdb.FatalException):
            raise
        reason = in_one_line(str(error).strip().splitlines()[0])
        raise InputError(f"{table.path} cannot be read ({reason}); download or write it again") from None
    rows = fetch_number(con, "SELECT count(*) FROM theirs")
    find_malformed_lines(con, table, columns.object_id, rows)
    others = con.execute("DELETE FROM theirs WHERE NOT of_survey").fetchall()[0][0]
    return [
        *_conversions(table, kinds, columns, position),
        *(doubt_positions(con, "theirs", "healpix IS NOT NULL", position) if position else ()),
        *([f"{counted(others, 'row')} of other surveys than {survey} left out"] if others else ()),
    ]


def check_values(
    con: Connection, table: TableFile, columns: CatalogueColumns, *, every: bool, some_rejected: bool
) -> None:
    """Refuse a comparison with values of the class that never occur in `theirs`.

    Parameters
    ----------
    every : each value must occur, as when the user gave them; else one of them
    some_rejected : whether rows could not be used; then none may be left, which is said with the reasons

    Raises
    ------
    InputError
        A value, or every value, never occurs.
    """
    if columns.label is None or not fetch_number(con, "SELECT count(*) FROM theirs"):
        return
    counts = con.execute(query("inspection/compare_values")).fetchall()
    if not counts and some_rejected:
        return
    codes = list(columns.meanings)
    found = {codes[code - 1] for code, _, _ in counts if code is not None}
    absent = [code for code in codes if code not in found]
    if not absent or (not every and len(absent) < len(codes)):
        return
    values = [f"{in_one_line(codes[code - 1] if code else value, 40)} ({n:,})" for code, value, n in counts]
    more = f" and {len(values) - _MOST_VALUES:,} more" if len(values) > _MOST_VALUES else ""
    never = " or ".join(f"'{in_one_line(code, 40)}'" for code in absent)
    raise InputError(
        f"no row of {table.path} has {never} in its column {columns.label}; it has "
        f"{', '.join(values[:_MOST_VALUES]) or 'no value'}{more}: name the values with --class OURS=THEIRS, or another "
        "column with --label"
    )


def unusable_rows(
    con: Connection, table: TableFile, columns: CatalogueColumns, by: str
) -> tuple[tuple[Rejection, ...], int]:
    """List the first rows of the file that cannot be paired by 'id' or 'position' or are malformed, and count them."""
    kinds = {folded_name(column.name): column for column in table.columns}
    position = _position(table, kinds, columns) if by == "position" else None
    con.register("pieces", table.numbering(con))
    bound = {"by": by, "file": str(table.path), "unreadable": position.unreadable if position else ""}
    rows = con.execute(query("inspection/compare_unusable_rows"), {**bound, "most": LISTED_ROWS}).fetchall()
    return tuple(Rejection(*row[:-1]) for row in rows), rows[0][-1] if rows else 0


_ZEROS = r"\.0*$"  # of a whole number written as 4.0, in a cell or in a class code
_P_ELLIPTICAL = re.compile(r"(p|prob|probability)_?(e|ell|elliptical|ellipticals)")
_P_SPIRAL = re.compile(r"(p|prob|probability)_?(s|sp|spiral|spirals)")


def _as_in_file(columns: CatalogueColumns, kinds: Mapping[str, FileColumn]) -> CatalogueColumns:
    """Spell the names of the columns as the file does."""

    def spelt(name: str | None) -> str | None:
        return None if name is None else kinds[folded_name(name)].name

    return replace(
        columns, object_id=spelt(columns.object_id), ra=spelt(columns.ra), dec=spelt(columns.dec),
        label=spelt(columns.label), survey_column=spelt(columns.survey_column),
        shares={ours: spelt(name) or name for ours, name in columns.shares.items()},
    )  # fmt: skip


def _first(names: Mapping[str, str], *wanted: str) -> str | None:
    return next((names[name] for name in wanted if name in names), None)


def _matching(names: Mapping[str, str], pattern: re.Pattern[str]) -> str | None:
    return next((name for lower, name in names.items() if pattern.fullmatch(lower)), None)


def _quoted(column: FileColumn) -> str:
    """Quote the name of a column as an SQL identifier."""
    return '"' + column.name.replace('"', '""') + '"'


def _whole_number(kinds: Mapping[str, FileColumn], name: str | None) -> str:
    """Write SQL of an id; DuckDB would turn 5.8E17, a rounded id, into a whole number."""
    if name is None:
        return "CAST(NULL AS BIGINT)"
    cell = _quoted(kinds[folded_name(name)])
    if kinds[folded_name(name)].type.startswith("DECIMAL"):
        return f"CASE WHEN {cell} >= 0 AND {cell} = trunc({cell}) THEN TRY_CAST({cell} AS BIGINT) END"
    return f"CASE WHEN regexp_full_match(trim(CAST({cell} AS VARCHAR)), '\\d+') THEN TRY_CAST({cell} AS BIGINT) END"


def _position(table: TableFile, kinds: Mapping[str, FileColumn], columns: CatalogueColumns) -> PositionColumns | None:
    if columns.ra is None or columns.dec is None:
        return None
    ra, dec = (kinds[folded_name(name)] for name in (columns.ra, columns.dec))
    if named := frame_of_columns(ra.name, dec.name):
        ra, dec = replace(ra, frame=named), replace(dec, frame=named)
    return PositionColumns(ra, dec, table.frame, table.path)


def _place(position: PositionColumns | None) -> str:
    """Write SQL of the columns `longitude` and `latitude`, in degrees in the file's frame."""
    if position is None:
        return "CAST(NULL AS DOUBLE) AS longitude, CAST(NULL AS DOUBLE) AS latitude"
    cells = [f"cell({_quoted(one)})" if one.type == "VARCHAR" else _quoted(one) for one in (position.ra, position.dec)]
    return f"{position.degrees_sql(cells[0], 'ra')} AS longitude, {position.degrees_sql(cells[1], 'dec')} AS latitude"


def _of_survey(kinds: Mapping[str, FileColumn], name: str | None) -> str:
    """Write SQL of whether a row is of the compared survey; the name of the survey is bound as a parameter."""
    if name is None:
        return "$survey IS NOT NULL"
    return f"coalesce(trim(CAST({_quoted(kinds[folded_name(name)])} AS VARCHAR)) = $survey, false)"


def _label(table: TableFile, kinds: Mapping[str, FileColumn], columns: CatalogueColumns) -> dict[str, str]:
    """Write SQL of the class, the number of its value, and a value without a meaning; names are bound parameters."""
    if columns.label is not None:
        cell = f"trim(CAST({_quoted(kinds[folded_name(columns.label)])} AS VARCHAR))"
        code = f"list_position($codes, regexp_replace({cell}, '{_ZEROS}', ''))"  # 4.0 is 4
        value = f"CASE WHEN {code} IS NULL THEN left(cell({cell}), 41) END"
        return {"label": f"$classes[{code}]", "code": code, "value": value}
    cells = []
    for name in columns.shares.values():
        column = kinds[folded_name(name)]
        number = conversion_of(column, "share", table.path).sql(f"TRY_CAST({_quoted(column)} AS DOUBLE)")
        cells.append(f"without_nan({number})")
    shares = ", ".join(cells)
    largest = f"list_max([{shares}])"
    # two equal largest shares commit to neither class
    once = f"len(list_filter([{shares}], lambda share: share = {largest})) = 1"
    label = f"CASE WHEN {largest} >= $least AND {once} THEN $classes[list_position([{shares}], {largest})] END"
    return {"label": label, "code": "CAST(NULL AS BIGINT)", "value": "CAST(NULL AS VARCHAR)"}


def _conversions(
    table: TableFile, kinds: Mapping[str, FileColumn], columns: CatalogueColumns, position: PositionColumns | None
) -> list[str]:
    shares = [kinds[folded_name(name)] for name in columns.shares.values()]
    units = [(column.name, conversion_of(column, "share", table.path)) for column in shares]
    said = [
        *(position.conversions() if position else ()),
        *(describe(*one, "share") for one in units if one[1].changes),
    ]
    return [f"Converted: {', '.join(said)}"] if said else []


def _bound(columns: CatalogueColumns) -> dict[str, object]:
    if columns.label is not None:
        codes = [re.sub(_ZEROS, "", code.strip()) for code in columns.meanings]
        return {"codes": codes, "classes": list(columns.meanings.values())}
    return {"classes": list(columns.shares), "least": columns.least}


def parse_class_pairs(texts: Sequence[str], option: str) -> list[tuple[str, str]]:
    """Split texts of the form CLASS=VALUE into pairs.

    Raises
    ------
    InputError
        A text does not have this form.
    """
    found = []
    for text in texts:
        ours, equals, theirs = text.partition("=")
        if not equals or not ours.strip() or not theirs.strip():
            raise InputError(f"{option} '{in_one_line(text, 60)}' is not CLASS=VALUE; write for example spiral=S")
        found.append((ours.strip(), theirs.strip()))
    return found
