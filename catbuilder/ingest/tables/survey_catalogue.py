"""Survey catalogues in: a table of Galaxy Zoo, SDSS or DES becomes objects and what the archive measured of them.

One transaction a file. The file streams into a temporary table, is compared there with what stands, and what is
new is inserted in the order of the ids, so that a search by id reads few row groups. Two passes over the data
instead of one, but nothing is known of a duplicate id or of a different release before the last row was read.
DuckDB keeps within its memory limit by writing temporary files beside the catalogue.

Rows are never changed. A position of a better kind of file (images < Galaxy Zoo < a photometric catalogue)
replaces a weaker one by a new row and an entry in `revisions`, so that the order in which files come in does not
matter, and what the catalogue said as of an earlier round stays as it was.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from catbuilder.catalogue.connection import Connection, fetch_arrow, fetch_number, limit_memory
from catbuilder.catalogue.label_events import record_events
from catbuilder.catalogue.schema import data_dictionary
from catbuilder.catalogue.workspace import Recording, Workspace, replace_older
from catbuilder.core.csv_table import Rejection
from catbuilder.core.errors import InputError
from catbuilder.core.machine import usable_cores
from catbuilder.core.resources import query
from catbuilder.core.settings import Survey
from catbuilder.core.sky import SAME_POSITION_ARCSEC
from catbuilder.ingest.tables.archives import ARCHIVES, Archive, release_by_columns, sky_versions
from catbuilder.ingest.tables.open_table import open_table
from catbuilder.ingest.tables.table_file import Progress, TableFile
from catbuilder.ingest.tables.typed_columns import (
    Layout,
    accept_rows,
    add_functions,
    check_kept_names,
    count_sentinels,
    lay_out,
    settle_kept,
    stage,
    with_types_of,
)

_MEMORY = 10**9  # bytes, and a third of the file: 300 million staged rows (12 GB of Parquet) ran out of less
_MOST_THREADS = 4  # each one sorts and writes in memory of its own, all within the limit
_TOLD = 20  # rejections, or values that differ, that a report lists
_FIRST = 5  # objects that differ, or that moved, of which a report tells


@dataclass(frozen=True)
class Difference:
    """A value of the file that is not the one which stands."""

    object_id: int
    column: str
    old: Any
    new: Any

    def __str__(self) -> str:
        old, new = (_told(value) for value in (self.old, self.new))
        return f"{self.object_id}: {self.column} {old} in the catalogue, {new} in the file"


@dataclass(frozen=True)
class SurveyReport:
    """What an ingest of a survey's table did.

    Every row of the file is rejected, or of an object that was added or known. Of the known ones, some had
    no row in the archive's table yet, some are unchanged, some differ, and some were known from a weaker kind
    of file only and now stand at this file's position.
    """

    survey: str
    rows: int
    objects_added: int
    rows_added: int  # in the archive's table: votes or measurements
    taken_over: int
    unchanged: int
    differing: int  # updated, if that was asked for
    updated: bool
    differences: tuple[Difference, ...]  # of the first few objects
    moved: int  # images whose stated position lies more than SAME_POSITION_ARCSEC from the archive's of the same id
    misplaced: int  # stamps of these, taken out of use
    farthest: tuple[tuple[int, float], ...]  # the first few of these: object_id, arcsec
    rejected: int
    rejections: tuple[Rejection, ...]  # the first twenty
    sentinels: dict[str, int]  # values by which the archive says 'not measured', a count a column
    missing: tuple[str, ...]  # columns that matter and that the file lacks


def ingest_survey(
    workspace: Workspace,
    file: Path,
    kind: str,
    *,
    survey: str | None = None,
    keep: Sequence[str] = (),
    update: bool = False,
    progress: Progress | None = None,
) -> SurveyReport:
    """Bring in a table as an archive gives it.

    Parameters
    ----------
    file : CSV, FITS or VOTable file, or Parquet file, folder or glob
    kind : gz1 (Galaxy Zoo 1 Table 2), sdss (PhotoObj) or des (main table)
    survey : name in catbuilder.toml of the survey whose ids these are; by default sdss, sdss, des
    keep : other columns of the file to take along, under their lower-case names
    update : let values of the file that differ replace those that stand; by default they are only reported. A cell
        that is empty or says 'not measured' is such a value, a column that the file lacks is none

    Raises
    ------
    InputError
        The file cannot be used at all: of another kind, release or survey, cut short, damaged, empty. Bad rows are
        rejected.
    """
    file, archive = Path(file), ARCHIVES[kind]
    survey = survey or archive.survey
    _check_survey(workspace, archive, survey)
    release = workspace.config.surveys[survey].release
    table = open_table(file, workspace.config.limits)
    layout = lay_out(table, archive, keep)
    _check_columns_release(table, archive, survey, release)
    with workspace.recording(f"ingest {kind} {file.name} --survey {survey}") as recording:
        con = recording.con
        _prepare(con, table)
        check_kept_names(con, archive, layout)
        layout = with_types_of(layout, _types_of(con, archive))
        versions = sky_versions(archive, release)
        seems = "DR8 or later" if versions and 2 not in versions else "DR7 or earlier"
        other = f"its id is numbered by SDSS {seems}, and survey {survey} holds {release}"
        stage(con, table, layout, versions, other, progress or (lambda done, of: None))
        _check_rows(con, table, survey, release, seems, other)
        layout = settle_kept(con, archive, layout)
        order = "" if accept_rows(con, archive, layout) else "ORDER BY a.object_id"
        return _record(recording, table, archive, layout, survey, update, order)


def _check_survey(workspace: Workspace, archive: Archive, survey: str) -> None:
    """A survey's ids are one numbering; where catbuilder.toml leaves open which one, the release must do."""
    workspace.check_survey(survey)
    id_column = workspace.config.surveys[survey].id_column
    if id_column.lower() not in (archive.id_column.lower(), Survey().id_column):
        raise InputError(
            f"survey {survey} numbers its objects by {id_column} and {archive.title} by {archive.id_column}; name with "
            f"--survey a survey whose id_column in catbuilder.toml is {archive.id_column}, as {archive.survey}'s is"
        )


def _check_columns_release(table: TableFile, archive: Archive, survey: str, release: str) -> None:
    seems = release_by_columns(archive, {column.name.upper() for column in table.columns})
    if seems and release and release.strip().upper() != seems[0]:
        raise _other_release(table, f"DES {seems[0]} (it has the column {seems[1]})", survey, release, seems[0])


def _check_rows(con: Connection, table: TableFile, survey: str, release: str, seems: str, other: str) -> None:
    """An empty file, or one of which every id is another release's."""
    rows = fetch_number(con, "SELECT count(*) FROM incoming")
    if rows + fetch_number(con, "SELECT count(*) FROM malformed") == 0:
        raise InputError(f"{table.path} has columns but no rows; give a table with rows")
    text = "SELECT count(*) FROM incoming WHERE _reason = $other"
    if rows and fetch_number(con, text, {"other": other}) == rows:
        raise _other_release(table, f"SDSS {seems} (by the first bits of its ids)", survey, release, seems[:3])


def _other_release(table: TableFile, seems: str, survey: str, release: str, short: str) -> InputError:
    name = f"{survey}_{short.lower()}"
    return InputError(
        f"{table.path} seems to be of {seems}, but survey {survey} here holds {release}, which numbers the same sky "
        f'differently; add to catbuilder.toml [surveys.{name}] with release = "{short}", and give '
        f"--survey {name}"
    )


def _prepare(con: Connection, table: TableFile) -> None:
    limit_memory(con, _MEMORY + table.bytes // 3)
    con.execute(f"SET threads = {min(usable_cores(), _MOST_THREADS)}")
    add_functions(con)


def _types_of(con: Connection, archive: Archive) -> dict[str, str]:
    text = "SELECT column_name, data_type FROM duckdb_columns() WHERE table_name = ? AND NOT internal"
    return dict(con.execute(text, [archive.table]).fetchall())


def _record(
    recording: Recording, table: TableFile, archive: Archive, layout: Layout, survey: str, update: bool, order: str
) -> SurveyReport:
    """Compare with what stands, and insert what is new; `order` sorts what does not come in order."""
    con = recording.con
    values = {
        "survey": survey, "kind": archive.kind, "strength": archive.strength, "table": archive.table, "update": update,
        "round": recording.round, "run": recording.run, "far_arcsec": SAME_POSITION_ARCSEC, "first": _FIRST,
        "id": layout.object_id.name, "file": str(table.path),
    }  # fmt: skip
    _find_known(con, archive, layout, values)
    counts = fetch_arrow(con, query("ingest/ingest_counts"), _bound(query("ingest/ingest_counts"), values)).to_pylist()[
        0
    ]
    differences = _differences(con, layout, values)
    _run(con, "ingest/ingest_new_objects", values, order=order)
    columns = "".join(f', a."{field.ours}"' for field in layout.of_archive + layout.kept)
    _run(con, "ingest/ingest_new_rows", values, table=archive.table, columns=columns, order=order)
    if counts["taken_over"] or (update and counts["differing"]):
        _run(con, "ingest/ingest_replacing_objects", values, magnitudes=_magnitudes(layout))
        _run(con, "ingest/ingest_replacing_rows", values, table=archive.table, merged=_merged(con, archive, layout))
        _run(con, "ingest/ingest_revisions", values)
    if counts["rejected"]:
        con.register("pieces", table.numbering(con))
        _run(con, "ingest/ingest_rejections", values)
    misplaced = _take_out_misplaced(recording, values) if counts["moved"] else 0
    return SurveyReport(
        survey=survey, **counts, updated=update, differences=differences,
        farthest=tuple(_run(con, "ingest/ingest_moved", values)), rejections=_rejections(con, values),
        misplaced=misplaced,
        sentinels=count_sentinels(con, layout), missing=layout.missing,
    )  # fmt: skip


def _find_known(con: Connection, archive: Archive, layout: Layout, values: dict[str, object]) -> None:
    """Make the table `known` of the file's objects that the catalogue has, and what of them differs."""
    ours = {field.ours for field in layout.of_archive}
    _run(con, "ingest/ingest_standing_rows", values, view="standing_rows", table=archive.table)
    _run(con, "ingest/ingest_standing_rows", values, view="standing_objects", table="objects")
    of_objects = [f" OR a.{field.ours} IS DISTINCT FROM o.{field.ours}" for field in layout.of_objects]
    of_rows = [f'a."{field.ours}" IS DISTINCT FROM t."{field.ours}"' for field in layout.of_archive + layout.kept]
    needed = [f", {'a' if name in ours else 't'}.{name}" for name in archive.radius_needs]
    _run(con, "ingest/ingest_known_objects", values, differs="".join(of_objects))
    _run(
        con, "ingest/ingest_known_rows", values, radius=archive.radius_arcsec, needed="".join(needed),
        differs=" OR ".join(of_rows) or "false",
    )  # fmt: skip
    _run(con, "ingest/ingest_known", values, has_radius=str(not ours.isdisjoint(archive.radius_needs)).lower())


def _magnitudes(layout: Layout) -> str:
    """The file's where it has the column, even if nothing was measured, else the old ones."""
    ours = {field.ours for field in layout.of_objects}
    return ", ".join(f"{'a' if name in ours else 'o'}.{name}" for name in ("mag_g", "mag_r", "mag_i"))


def _take_out_misplaced(recording: Recording, values: dict[str, object]) -> int:
    """Stamps and labels of images under a wrong id; had the catalogue come first, they would have been refused."""
    con = recording.con
    _run(con, "ingest/ingest_misplaced", values)
    replace_older(recording, "stamps")
    about = {"survey": values["survey"], "run": recording.run}
    record_events(recording, fetch_arrow(con, query("ingest/ingest_misplaced_labels"), about))
    _run(con, "ingest/ingest_misplaced_told", values)
    return fetch_number(con, "SELECT count(*) FROM stamps WHERE run = $run", {"run": values["run"]})


def _run(con: Connection, name: str, values: dict[str, object], **slots: str) -> list[tuple[Any, ...]]:
    """Run a named query with its slots filled and of the values those bound that it asks for."""
    text = query(name).format(**slots) if slots else query(name)
    return con.execute(text, _bound(text, values)).fetchall()


def _bound(text: str, values: dict[str, object]) -> dict[str, object]:
    # DuckDB refuses a value that the query does not ask for
    return {name: value for name, value in values.items() if re.search(rf"\${name}\b", text)}


def _merged(con: Connection, archive: Archive, layout: Layout) -> str:
    """Every column of the archive's table: the file's where the file has it, else the old one."""
    ours = {field.ours for field in layout.of_archive + layout.kept}
    names = [column.name for column in data_dictionary(con, archive.table)]
    own = [name for name in names if name not in ("survey", "object_id", "round", "run")]
    return ", ".join(f'{"a" if name in ours else "t"}."{name}"' for name in own)


def _differences(con: Connection, layout: Layout, values: dict[str, object]) -> tuple[Difference, ...]:
    found = []
    rows = _run(con, "ingest/ingest_differences", values)
    of_objects = ("ra", "dec", *(field.ours for field in layout.of_objects), "radius_arcsec")
    for object_differs, row_differs, radius, new, placed, measured in rows:
        new["radius_arcsec"] = radius
        of_row = [field.ours for field in layout.of_archive + layout.kept] if row_differs else []
        pairs = [(name, placed[name]) for name in of_objects if object_differs]
        pairs += [(name, measured[name]) for name in of_row]
        found += [Difference(new["object_id"], name, old, new[name]) for name, old in pairs if old != new[name]]
    return tuple(found[:_TOLD])


def _rejections(con: Connection, values: dict[str, object]) -> tuple[Rejection, ...]:
    text = (
        "SELECT file, row, object_id, reason FROM rejections WHERE run = $run AND row IS NOT NULL "
        "ORDER BY file, row LIMIT $told"
    )
    return tuple(Rejection(*row) for row in con.execute(text, {"run": values["run"], "told": _TOLD}).fetchall())


def _told(value: Any) -> str:
    if isinstance(value, float) and np.float32(value) == value:
        return str(np.float32(value))  # 2.1 as it was written, not 2.0999999
    return "empty" if value is None else str(value)
