"""Import labels from a table, a person or another platform, and export the standing labels."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import pyarrow as pa

from catbuilder.active_learning.answer_meanings import parse_answer_classes
from catbuilder.active_learning.counted_question import WantedQuestion
from catbuilder.active_learning.labelled_objects import KnownObjects, known_objects
from catbuilder.active_learning.lost_majorities import (
    retract_lost_majorities,
    say_retracted,
    say_still_labelled,
    vote_reason,
)
from catbuilder.active_learning.platform_answers import PlatformLabels, read_annotations
from catbuilder.active_learning.platform_layouts import Layout, require_layout
from catbuilder.catalogue.label_events import EVENTS, fresh_labels, record_events
from catbuilder.catalogue.vocabulary import SOURCES
from catbuilder.catalogue.workspace import Recording, Workspace, record_rejections
from catbuilder.core.arguments import require_one_of
from catbuilder.core.errors import InputError
from catbuilder.core.files import atomic_write
from catbuilder.core.paths import file_to_write, named_path
from catbuilder.core.resources import query
from catbuilder.core.safe_text import counted, for_spreadsheet
from catbuilder.core.user_csv import (
    OBJECT_ID,
    BadValue,
    CsvColumn,
    CsvRow,
    CsvRows,
    Rejection,
    label_column,
    list_rejections,
    number_column,
    read_table,
    survey_column,
    unused_columns,
)
from catbuilder.decisions.audit import update_audits


@dataclass(frozen=True)
class ImportReport:
    """Number of labels recorded and unchanged, and the rows that were rejected.

    Attributes
    ----------
    recorded : int
        Number of labels recorded.
    unchanged : int
        Number of labels that were there already.
    rejections : tuple[Rejection, ...]
        Rows that were left out.
    audits : tuple[str, ...]
        Effect on the audits of certified batches, a sentence each.
    votes : tuple[str, ...]
        What became of the answers of a platform, a sentence each.
    look_at : tuple[str, ...]
        What a person should look at in the answers of a platform, a sentence each.
    unused_columns : tuple[str, ...]
        Columns of the table that are not used, some with a hint; none for the exports of platforms.
    retracted : int
        Number of labels that earlier answers of the platform gave, and that have no majority any more.
    """

    recorded: int
    unchanged: int
    rejections: tuple[Rejection, ...]
    audits: tuple[str, ...] = ()
    votes: tuple[str, ...] = ()
    look_at: tuple[str, ...] = ()
    unused_columns: tuple[str, ...] = ()
    retracted: int = 0

    @property
    def nothing_used(self) -> bool:
        """Whether no row could be used."""
        return not (self.recorded or self.unchanged or self.retracted)

    def sentences(self) -> list[str]:
        """Return the result as sentences."""
        said = [f"{counted(self.recorded, 'label')} recorded, {counted(self.unchanged, 'was', 'were')} there already."]
        said += self.votes
        said += unused_columns(self.unused_columns)
        return said + [f"{audit[0].upper()}{audit[1:]}." for audit in self.audits]

    def warnings(self) -> list[str]:
        """Return what a person should look at, and the rejected rows."""
        return [*self.look_at, *list_rejections(self.rejections)]


def record_answers(recording: Recording, events: pa.Table) -> tuple[int, tuple[str, ...]]:
    """Append label events and update the audits that they answer, in the caller's transaction.

    A label that repeats the latest label by the same source and annotator is left out. If an answer breaks the audit of
    a certified batch, the batch is retracted (`audit.update_audits`).

    Parameters
    ----------
    events : table with the columns of `EVENTS`

    Returns
    -------
    recorded : number of the events that were appended, without the retractions of audits
    sentences : what happened to the audits, a sentence each
    """
    fresh = fresh_labels(recording, events)
    record_events(recording, fresh)
    settled = update_audits(recording)
    for retractions in settled.retractions:
        record_events(recording, retractions)
    return fresh.num_rows, settled.messages


def import_labels(
    workspace: Workspace,
    file: str | Path,
    *,
    source: str | None = None,
    survey: str | None = None,
    layout: Layout = "plain",
    answers: Sequence[str] = (),
    task: str | None = None,
    workflow: str | None = None,
    workflow_versions: Sequence[str] = (),
    subjects: str | Path | None = None,
    strict: bool = False,
) -> ImportReport:
    """Record labels from a CSV file with `object_id`, `label` and optionally survey, confidence, annotator, source.

    Names of columns may be in any case. The layouts of platforms hold the answers of people. The latest answer of each
    person to one question counts, also one that means no class. The class that more than half of them mean becomes the
    label, with its share as confidence. A label that earlier answers of the platform gave is retracted if the answers
    have no majority any more.

    A label that stands already, from the same source and annotator, changes nothing. A label of an image that is an
    alias of a catalogued object is recorded for that object. A person's label of an object in an audit answers the
    audit; if it breaks the audit, the batch is retracted in the same transaction (`audit.update_audits`).

    Parameters
    ----------
    workspace : Workspace
        Workspace that the call works on.
    file : str or Path
        CSV file, or the answers that the platform gives: Zooniverse's classifications or reductions (CSV), Label
        Studio's JSON, JSON-MIN, CSV or TSV.
    source : {"human", "galaxy_zoo", "imported"}, optional
        Source of rows that do not give one; by default 'imported', or 'human' for the layouts of platforms.
    survey : str, optional
        Survey of rows that do not give one.
    layout : {"plain", "zooniverse", "labelstudio"}
        Layout of the file; default 'plain'.
    answers : sequence of str
        Class that an answer of a platform means, each like `"Features or disk=spiral"`, or `"Star=none"` if it means no
        class; none by default. An answer that nothing explains means no class.
    task : str, optional
        Task (of Label Studio: control) whose answers count; by default the only one with answers that mean a class.
    workflow : str, optional
        Number of the Zooniverse workflow whose answers count.
    workflow_versions : sequence of str
        Versions of the workflow whose answers count, such as `"5.17"`, or `"5"` for all of 5; default all.
    subjects : str or Path, optional
        Zooniverse's export of subjects, which tells the objects that they show; reductions need it.
    strict : bool
        Refuse the file, and record nothing, if a row cannot be used; default False.

    Returns
    -------
    ImportReport
        Numbers of labels recorded and unchanged, the rejected rows, and the effect on audits.

    Raises
    ------
    InputError
        The file cannot be read or is not of that layout, the source cannot be imported, the survey is unknown, an
        answer names no class, or several questions could be meant.

    Examples
    --------
    >>> catbuilder.import_labels(workspace, "labels.csv", source="human").recorded
    """
    file = named_path(file, "the table of labels")
    require_one_of(layout, get_args(Layout), "the layout of labels")
    if survey is not None:
        workspace.check_survey(survey)
    if source is None:
        source = "imported" if layout == "plain" else "human"
    if source not in SOURCES[:3]:
        raise InputError(f"labels cannot be imported as '{source}'; use {', '.join(SOURCES[:3])}")
    columns = label_columns(workspace.config.classes, list(workspace.config.surveys))
    if layout == "plain":
        if answers or workflow_versions or any(option is not None for option in (task, workflow, subjects)):
            raise InputError(
                "--answer, --task, --workflow, --workflow-version and --subjects are for answers from a platform; give "
                "--layout zooniverse or labelstudio with them"
            )
        require_layout(file, "plain")
        unique = ("survey", "object_id", "source", "annotator")
        table = read_table(file, columns, unique=unique, limits=workspace.config.limits)
        with workspace.recording(f"labels import {file.name}") as recording:
            events = read_label_rows(table, source, survey, known_objects(recording.con))
            recorded, audits = _record(recording, table, events, strict)
        rejected = tuple(table.rejections)
        return ImportReport(recorded, events.num_rows - recorded, rejected, audits, unused_columns=table.unused)
    meanings = parse_answer_classes(answers, workspace.config.classes)
    wanted = WantedQuestion(task, workflow, tuple(workflow_versions))
    with workspace.recording(f"labels import {file.name}") as recording:
        known = known_objects(recording.con)
        found = read_annotations(
            file,
            layout,
            meanings,
            workspace.config.limits,
            wanted=wanted,
            survey=survey,
            subjects=None if subjects is None else Path(subjects),
            meant=known.meant,
        )
        found.table.parse(columns)
        return _record_votes(recording, found, known, layout, source, survey, strict)


def _record_votes(
    recording: Recording,
    found: PlatformLabels,
    known: KnownObjects,
    layout: Layout,
    source: str,
    survey: str | None,
    strict: bool,
) -> ImportReport:
    """Record the labels that people's answers give, and retract those that they gave once and do not support now."""
    table = found.table
    events = read_label_rows(table, source, survey, known, vote_reason(layout))
    undecided = {known.meant(votes.cells): (votes, why) for votes, why in found.undecided}
    lost = retract_lost_majorities(recording.con, undecided, layout, source, table.path.name)
    recorded, audits = _record(recording, table, pa.concat_tables([events, lost]), strict)
    recorded -= lost.num_rows
    look_at = (*found.warnings, *say_retracted(lost), *say_still_labelled(recording.con, undecided))
    rejected, unchanged = tuple(table.rejections), events.num_rows - recorded
    # the columns of a platform's export are many, and always the same: they are not listed
    return ImportReport(recorded, unchanged, rejected, audits, found.sentences, look_at, retracted=lost.num_rows)


def _record(recording: Recording, table: CsvRows, events: pa.Table, strict: bool) -> tuple[int, tuple[str, ...]]:
    if strict:
        table.refuse_rejections()
    done = record_answers(recording, events)
    record_rejections(recording, table.rejections)
    return done


def read_label_rows(
    table: CsvRows, source: str, survey: str | None, known: KnownObjects, come_from: str = "imported from "
) -> pa.Table:
    """Turn the valid rows of a table of labels into events with the columns of `EVENTS`, and reject the others.

    Parameters
    ----------
    source, survey : source and survey of rows that do not give them
    known : the objects of the catalogue
    come_from : how the labels came here, before the name of the file
    """
    events = []
    for row in table.rows:
        try:
            events.append(_event(row, f"{come_from}{table.path.name}", source, survey, known))
        except BadValue as error:
            table.reject(row.number, row.cells, str(error))
    return pa.Table.from_pylist(events, schema=EVENTS)


def label_columns(classes: Sequence[str], surveys: Sequence[str]) -> tuple[CsvColumn, ...]:
    """Declare the columns of a table of labels."""
    return (
        OBJECT_ID,
        survey_column(surveys),
        label_column(classes, required=True),
        number_column("confidence", 0.0, 1.0),
        CsvColumn("source", _source),
        CsvColumn("annotator"),
    )


def export_labels(workspace: Workspace, file: str | Path) -> int:
    """Write every standing label to a CSV file that `import_labels` can read.

    An annotator's name that a spreadsheet would run as a formula gets an apostrophe, which the import removes.

    Parameters
    ----------
    workspace : Workspace
        Workspace that the call works on.
    file : str or Path
        CSV file to write; it is replaced if it is there.

    Returns
    -------
    int
        Number of labels written.

    Examples
    --------
    >>> catbuilder.export_labels(workspace, "labels.csv")
    """
    file = file_to_write(file)
    with workspace.reading() as con:
        cursor = con.execute(query("active_learning/export_labels"))
        names = [column[0] for column in cursor.description or []]
        rows = cursor.fetchall()
    with atomic_write(file) as temporary, open(temporary, "w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(names)
        for row in rows:
            writer.writerow([for_spreadsheet(value) if isinstance(value, str) else value for value in row])
    return len(rows)


def _event(row: CsvRow, come_from: str, source: str, survey: str | None, known: KnownObjects) -> dict[str, object]:
    object_id, name = row["object_id"]
    where = row["survey"] or survey or known.survey_of(object_id, name)
    if (where, object_id) not in known.stands_for:
        raise BadValue(f"no object {name or object_id} of survey {where} is in the catalogue; ingest it first")
    stands_for = known.stands_for[where, object_id]
    given_to = "" if stands_for == object_id else f", where it is given to image {name or object_id}"
    return {
        "survey": where,
        "object_id": stands_for,
        "kind": "label",
        "label": row["label"],
        "confidence": row["confidence"],
        "source": row["source"] or source,
        "annotator": row["annotator"],
        "reason": f"{come_from}, row {row.number}{given_to}",
    }


def _source(name: str) -> str:
    if name == "promoted":
        # from an exported catalogue of ours: as an imported label it could never be retracted
        raise BadValue(
            "the label was promoted by a round; to import it as your own, give human, galaxy_zoo or imported as its "
            "source"
        )
    if name not in SOURCES:
        raise BadValue(f"unknown source '{name}'; use {', '.join(SOURCES[:3])}")
    return name
