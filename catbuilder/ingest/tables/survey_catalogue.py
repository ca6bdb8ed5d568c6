"""Ingest the table of a survey: Galaxy Zoo votes, SDSS PhotoObj or the DES main table.

Each file is one transaction. The file streams into a temporary table, is compared there with the catalogue, and new
rows are inserted in the order of the ids, so that a search by id reads few row groups. This takes two passes over the
data, because a repeated id or another release may show only in the last row. DuckDB keeps within its memory limit by
writing temporary files beside the catalogue.

Rows are never changed. A position from a better kind of file (images < Galaxy Zoo < a photometric catalogue) replaces
a weaker one by a new row and an entry in `revisions`. So the order of the ingests does not matter, and the catalogue
as of an earlier round stays as it was.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from catbuilder.catalogue.connection import Connection, fetch_arrow, fetch_number, limit_memory
from catbuilder.catalogue.label_events import record_events
from catbuilder.catalogue.schema import column_names
from catbuilder.catalogue.workspace import Recording, Workspace, replace_older
from catbuilder.core.arguments import require_one_of
from catbuilder.core.errors import InputError
from catbuilder.core.machine import usable_cores
from catbuilder.core.paths import named_path
from catbuilder.core.resources import query
from catbuilder.core.safe_text import counted
from catbuilder.core.settings import Survey
from catbuilder.core.sky import SAME_POSITION_ARCSEC
from catbuilder.core.user_csv import Rejection, refuse_rejections, see_the_rest
from catbuilder.ingest.tables.archives import ARCHIVES, Archive, release_by_columns, sky_versions
from catbuilder.ingest.tables.open_table import open_table
from catbuilder.ingest.tables.positions import doubt_positions
from catbuilder.ingest.tables.table_file import Progress, TableChoice, TableFile, folded_name
from catbuilder.ingest.tables.typed_columns import (
    FileLayout,
    accept_rows,
    add_cell_functions,
    add_kept_columns,
    check_kept_names,
    count_sentinels,
    count_without_magnitude,
    find_columns,
    load_rows,
    with_stored_types,
)

_MEMORY = 10**9  # bytes, besides a third of the file: 300 million rows (12 GB of Parquet) ran out of less
_MOST_THREADS = 4  # each one sorts and writes in memory of its own, all within the limit
_MOST_LISTED = 20  # rejections or differing values that a report lists
_MOST_OBJECTS = 5  # objects that differ, or whose image is misplaced, that a report lists


@dataclass(frozen=True)
class Difference:
    """A value of the file that differs from the catalogue's."""

    object_id: int
    column: str
    old: Any
    new: Any

    def __str__(self) -> str:
        old, new = (_shown(value) for value in (self.old, self.new))
        return f"{self.object_id}: {self.column} {old} in the catalogue, {new} in the file"


@dataclass(frozen=True)
class SurveyReport:
    """Counts of an ingest of a survey's table.

    Every row of the file is rejected, or belongs to an object that was added or known. Of the known objects, some had
    no row in the archive's table yet, some are unchanged, some differ, and some were known only from a weaker kind of
    file and now have this file's position.

    Attributes
    ----------
    survey : str
        Survey of the ids.
    kind : str
        Gz1, sdss or des.
    rows : int
        Number of rows of the file.
    objects_added : int
        Number of objects that are new.
    rows_added : int
        Number of rows added to the archive's table of votes or measurements.
    taken_over : int
        Number of objects known only from a weaker kind of file, which now have this file's position.
    unchanged : int
        Number of known objects with the same values.
    differing : int
        Number of known objects with other values; updated, if that was asked for.
    updated : bool
        True if differing values were replaced.
    differences : tuple[Difference, ...]
        Differing values of the first few objects.
    moved : int
        Number of images whose stated position lies more than SAME_POSITION_ARCSEC from the archive's of the same
        id.
    misplaced : int
        Number of stamps of these images, taken out of use.
    farthest : tuple[tuple[int, float], ...]
        The first few of these images: object_id and distance (arcsec).
    rejected : int
        Number of rows rejected.
    rejections : tuple[Rejection, ...]
        The first twenty rejected rows.
    sentinels : dict[str, int]
        Number of values by which the archive says 'not measured', for each column.
    missing : tuple[str, ...]
        Important columns that the file lacks.
    without_magnitude : dict[str, int]
        Number of fluxes that are not positive and so have no magnitude, for each column.
    converted : tuple[str, ...]
        Columns that were converted to other units, and the frame of the positions if it was not ICRS.
    notes : tuple[str, ...]
        Sentences on the file as a whole: a result that the service cut, letters that had to be decoded, positions
        without a unit that look like hours or radians.
    """

    survey: str
    kind: str
    rows: int
    objects_added: int
    rows_added: int
    taken_over: int
    unchanged: int
    differing: int
    updated: bool
    differences: tuple[Difference, ...]
    moved: int
    misplaced: int
    farthest: tuple[tuple[int, float], ...]
    rejected: int
    rejections: tuple[Rejection, ...]
    sentinels: dict[str, int]
    missing: tuple[str, ...]
    without_magnitude: dict[str, int]
    converted: tuple[str, ...]
    notes: tuple[str, ...] = ()

    @property
    def nothing_used(self) -> bool:
        """Whether no row could be used."""
        return self.rejected == self.rows

    def sentences(self) -> list[str]:
        """Summarise the ingest for a person, a line each."""
        what = "votes" if self.kind == "gz1" else "measurements"
        lines = [
            f"{counted(self.rows, 'row')} read: {counted(self.objects_added, 'object')} added to {self.survey}, "
            f"{what} of {counted(self.rows_added, 'object')} added, "
            f"{counted(self.unchanged, 'was', 'were')} there already."
        ]
        if self.nothing_used:
            lines.append("No row could be used.")
        elif self.unchanged == self.rows - self.rejected:
            lines.append("Nothing has changed.")
        if self.taken_over:
            lines.append(
                f"{counted(self.taken_over, 'object')} known from images or Galaxy Zoo now "
                f"{'has' if self.taken_over == 1 else 'have'} this catalogue's position."
            )
        if self.sentinels:
            counts = ", ".join(f"{n:,} {name}" for name, n in self.sentinels.items())
            lines.append(f"Values that mean 'not measured' became NULL: {counts}.")
        if self.without_magnitude:
            counts = ", ".join(f"{n:,} {name}" for name, n in self.without_magnitude.items())
            lines.append(f"Fluxes that are not positive have no magnitude and became NULL: {counts}.")
        if self.converted:
            lines.append(f"Converted: {', '.join(self.converted)}.")
        if self.missing:
            lines.append(f"The file lacks {', '.join(self.missing)}: they are NULL for new objects.")
        return lines + self._difference_lines()

    def _difference_lines(self) -> list[str]:
        if not self.differing:
            return []
        one = self.differing == 1
        kept = f"{'differs' if one else 'differ'} from the catalogue, which keeps its values (see --update)"
        done = f"{'was' if one else 'were'} updated" if self.updated else kept
        return [f"{counted(self.differing, 'object')} {done}:", *(f"  {difference}" for difference in self.differences)]

    def warnings(self) -> list[str]:
        """List what is to be known of the file, misplaced images and rejected rows, a line each."""
        lines = [f"{note}." for note in self.notes]
        if self.moved:
            lines += [
                f"{counted(self.moved, 'image has', 'images have')} a stated position far from the catalogue's "
                "position of the same id:",
                *(f"  {one}: {apart:.1f} arcsec; is the id right?" for one, apart in self.farthest),
                f"{counted(self.misplaced, 'stamp of these is', 'stamps of these are')} kept out of training and "
                "scoring (quality misplaced), for showing another object; give each image under its right id.",
            ]
        if self.rejected:
            lines += [
                f"{counted(self.rejected, 'row')} could not be used:",
                *(f"  {rejection}" for rejection in self.rejections),
                *see_the_rest(self.rejected, "SELECT * FROM rejections"),
            ]
        return lines


def ingest_survey(
    workspace: Workspace,
    file: str | Path,
    kind: str,
    *,
    survey: str | None = None,
    keep: Sequence[str] = (),
    update: bool = False,
    table: str | None = None,
    strict: bool = False,
    progress: Progress | None = None,
) -> SurveyReport:
    """Ingest a table of a survey in the form in which its archive gives it.

    Parameters
    ----------
    workspace : Workspace
        Workspace that the call works on.
    file : str or Path
        CSV, ECSV, FITS or VOTable file, or Parquet file, folder or glob.
    kind : {"gz1", "sdss", "des"}
        Kind of table: Galaxy Zoo 1 Table 2, SDSS PhotoObj, or DES main table.
    survey : str, optional
        Name in `catbuilder.toml` of the survey whose ids these are; by default sdss for gz1 and sdss, and des for des.
    keep : sequence of str
        Other columns of the file to keep, under their lower-case names; none by default.
    update : bool
        Replace the catalogue's values by values of the file that differ. By default they are only reported. An empty
        cell or a 'not measured' counts as a value; a column that the file lacks does not.
    table : str, optional
        Name or number of the table in a FITS file or VOTable with several; by default the one that has the columns.
    strict : bool
        Refuse the file, and record nothing, if a row cannot be used; default False.
    progress : callable, optional
        Called with the numbers of parts of the file done and in all.

    Returns
    -------
    SurveyReport
        Numbers of rows and objects added, unchanged, differing and rejected.

    Raises
    ------
    InputError
        The file cannot be used: it is of another kind, release or survey, cut short, damaged or empty. Single bad
        rows are rejected.

    Examples
    --------
    >>> catbuilder.ingest_survey(workspace, "des_dr1_main.fits", "des").objects_added
    """
    require_one_of(kind, ARCHIVES, "the kind of a survey table")
    file, archive = named_path(file, "the file of the catalogue"), ARCHIVES[kind]
    survey = survey or archive.survey
    _check_survey(workspace, archive, survey)
    release = workspace.config.surveys[survey].release
    opened = open_table(file, workspace.config.limits, table_of(archive, table))
    layout = find_columns(opened, archive, keep)
    _check_columns_release(opened, archive, survey, release)
    with workspace.recording(f"ingest {kind} {file.name} --survey {survey}") as recording:
        con = recording.con
        _prepare(con, opened)
        check_kept_names(con, archive, layout)
        layout = with_stored_types(layout, _types_of(con, archive))
        versions = sky_versions(archive, release)
        seems = "DR8 or later" if versions and 2 not in versions else "DR7 or earlier"
        other = f"its id is numbered by SDSS {seems}, and survey {survey} holds {release}"
        load_rows(con, opened, layout, versions, other, progress or (lambda done, of: None))
        _check_rows(con, opened, survey, release, seems, other)
        layout = add_kept_columns(con, archive, layout)
        order = "" if accept_rows(con, archive, layout) else "ORDER BY a.object_id"
        return _record(recording, opened, archive, layout, survey, update, strict, order)


def table_of(archive: Archive, name: str | None) -> TableChoice:
    """Which table of a file with several is the archive's: the one that is named, or that has its columns."""
    needed = (archive.id_column, archive.ra, archive.dec, *archive.required)
    folded = {folded_name(name) for name in needed}
    return TableChoice(name or "", lambda names: folded <= {folded_name(name) for name in names}, ", ".join(needed))


def _check_survey(workspace: Workspace, archive: Archive, survey: str) -> None:
    """Refuse a table whose id column is not the survey's; where catbuilder.toml names none, the release decides."""
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
    """Refuse an empty file, and one whose ids are all another release's."""
    rows = fetch_number(con, "SELECT count(*) FROM incoming")
    if rows + fetch_number(con, "SELECT count(*) FROM malformed") == 0:
        raise InputError(f"{table.path} has columns but no rows; give a table with rows")
    text = "SELECT count(*) FROM incoming WHERE _reason = $other"
    if rows and fetch_number(con, text, {"other": other}) == rows:
        raise _other_release(table, f"SDSS {seems} (by the first bits of its ids)", survey, release, seems[:3])


def _other_release(table: TableFile, seems: str, survey: str, release: str, short: str) -> InputError:
    name = f"{survey}_{short.lower()}"
    return InputError(
        f"{table.path} seems to be of {seems}, but survey {survey} holds {release}, which has other ids for the same "
        f'objects; add to catbuilder.toml [surveys.{name}] with release = "{short}", and give '
        f"--survey {name}"
    )


def _prepare(con: Connection, table: TableFile) -> None:
    limit_memory(con, _MEMORY + table.bytes // 3)
    con.execute(f"SET threads = {min(usable_cores(), _MOST_THREADS)}")
    add_cell_functions(con)


def _types_of(con: Connection, archive: Archive) -> dict[str, str]:
    return dict(con.execute(f"SELECT column_name, column_type FROM (DESCRIBE {archive.table})").fetchall())


def _record(
    recording: Recording, table: TableFile, archive: Archive, layout: FileLayout, survey: str, update: bool,
    strict: bool, order: str,
) -> SurveyReport:  # fmt: skip
    """Compare the rows with the catalogue and insert the new ones; `order` sorts those that do not come in order."""
    con = recording.con
    values = {
        "survey": survey, "kind": archive.kind, "strength": archive.strength, "table": archive.table, "update": update,
        "round": recording.round, "run": recording.run, "far_arcsec": SAME_POSITION_ARCSEC, "first": _MOST_OBJECTS,
        "id": layout.object_id.name, "file": str(table.path),
    }  # fmt: skip
    _find_known(con, archive, layout, values)
    count_rows = query("ingest/count_rows")
    counts = fetch_arrow(con, count_rows, _bound(count_rows, values)).to_pylist()[0]
    if counts["rejected"]:
        con.register("pieces", table.numbering(con))
        _run(con, "ingest/record_rejected_rows", values)
    rejections = _rejections(con, values)
    if strict:
        refuse_rejections(table.path, rejections, counts["rejected"])
    differences = _differences(con, layout, values)
    _run(con, "ingest/insert_new_objects", values, order=order)
    columns = "".join(f', a."{field.ours}"' for field in layout.of_archive + layout.kept)
    _run(con, "ingest/insert_new_rows", values, table=archive.table, columns=columns, order=order)
    if counts["taken_over"] or (update and counts["differing"]):
        _run(con, "ingest/insert_updated_objects", values, magnitudes=_magnitudes(layout))
        _run(con, "ingest/insert_updated_rows", values, table=archive.table, merged=_merged(con, archive, layout))
        _run(con, "ingest/record_revisions", values)
    misplaced = _remove_misplaced(recording, values) if counts["moved"] else 0
    return SurveyReport(
        survey=survey, kind=archive.kind, **counts, updated=update, differences=differences,
        farthest=tuple(_run(con, "ingest/farthest_images", values)), rejections=rejections,
        misplaced=misplaced,
        sentinels=count_sentinels(con, layout), missing=layout.missing,
        without_magnitude=count_without_magnitude(con, layout), converted=tuple(layout.conversions()),
        notes=(*table.notes, *doubt_positions(con, "incoming", "_reason IS NULL", layout.position)),
    )  # fmt: skip


def _find_known(con: Connection, archive: Archive, layout: FileLayout, values: dict[str, object]) -> None:
    """Make the table `known`: the file's objects that the catalogue has, and which of their values differ."""
    ours = {field.ours for field in layout.of_archive}
    _run(con, "ingest/standing_rows_view", values, view="standing_rows", table=archive.table)
    _run(con, "ingest/standing_rows_view", values, view="standing_objects", table="objects")
    of_objects = [f" OR a.{field.ours} IS DISTINCT FROM o.{field.ours}" for field in layout.of_objects]
    of_rows = [f'a."{field.ours}" IS DISTINCT FROM t."{field.ours}"' for field in layout.of_archive + layout.kept]
    needed = [f", {'a' if name in ours else 't'}.{name}" for name in archive.radius_needs]
    _run(con, "ingest/compare_objects", values, differs="".join(of_objects))
    _run(
        con, "ingest/compare_archive_rows", values, radius=archive.radius_arcsec, needed="".join(needed),
        differs=" OR ".join(of_rows) or "false",
    )  # fmt: skip
    _run(
        con, "ingest/compare_with_catalogue", values, has_radius=str(not ours.isdisjoint(archive.radius_needs)).lower()
    )


def _magnitudes(layout: FileLayout) -> str:
    """SQL of the magnitudes: the file's if it has the column, even if nothing was measured, else the old ones."""
    ours = {field.ours for field in layout.of_objects}
    return ", ".join(f"{'a' if name in ours else 'o'}.{name}" for name in ("mag_g", "mag_r", "mag_i"))


def _remove_misplaced(recording: Recording, values: dict[str, object]) -> int:
    """Take stamps and labels of images under a wrong id out of use, and return how many stamps.

    If the catalogue had been ingested first, these images would have been rejected.
    """
    con = recording.con
    _run(con, "ingest/take_out_misplaced_stamps", values)
    replace_older(recording, "stamps")
    about = {"survey": values["survey"], "run": recording.run}
    record_events(recording, fetch_arrow(con, query("ingest/retract_misplaced_labels"), about))
    _run(con, "ingest/reject_misplaced_images", values)
    return fetch_number(con, "SELECT count(*) FROM stamps WHERE run = $run", {"run": values["run"]})


def _run(con: Connection, name: str, values: dict[str, object], **slots: str) -> list[tuple[Any, ...]]:
    """Run a named query; `slots` are formatted into its text, and those of `values` that it uses are bound."""
    text = query(name).format(**slots) if slots else query(name)
    return con.execute(text, _bound(text, values)).fetchall()


def _bound(text: str, values: dict[str, object]) -> dict[str, object]:
    # DuckDB refuses a parameter that the query does not use
    return {name: value for name, value in values.items() if re.search(rf"\${name}\b", text)}


def _merged(con: Connection, archive: Archive, layout: FileLayout) -> str:
    """SQL of every column of the archive's table: the file's if the file has it, else the old one."""
    ours = {field.ours for field in layout.of_archive + layout.kept}
    names = column_names(con, archive.table)
    own = [name for name in names if name not in ("survey", "object_id", "round", "run")]
    return ", ".join(f'{"a" if name in ours else "t"}."{name}"' for name in own)


def _differences(con: Connection, layout: FileLayout, values: dict[str, object]) -> tuple[Difference, ...]:
    found = []
    rows = _run(con, "ingest/first_differences", values)
    of_objects = ("ra", "dec", *(field.ours for field in layout.of_objects), "radius_arcsec")
    for object_differs, row_differs, radius, new, placed, measured in rows:
        new["radius_arcsec"] = radius
        of_row = [field.ours for field in layout.of_archive + layout.kept] if row_differs else []
        pairs = [(name, placed[name]) for name in of_objects if object_differs]
        pairs += [(name, measured[name]) for name in of_row]
        found += [Difference(new["object_id"], name, old, new[name]) for name, old in pairs if old != new[name]]
    return tuple(found[:_MOST_LISTED])


def _rejections(con: Connection, values: dict[str, object]) -> tuple[Rejection, ...]:
    text = (
        "SELECT file, row, object_id, reason FROM rejections WHERE run = $run AND row IS NOT NULL "
        "ORDER BY file, row LIMIT $first"
    )
    return tuple(Rejection(*row) for row in con.execute(text, {"run": values["run"], "first": _MOST_LISTED}).fetchall())


def _shown(value: Any) -> str:
    if isinstance(value, float) and np.float32(value) == value:
        return str(np.float32(value))  # 2.1 as it was written, not 2.0999999
    return "empty" if value is None else str(value)
