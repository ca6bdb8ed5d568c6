"""Declare a fixed test set from a table: its members and true classes are written once and never changed."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from catbuilder.catalogue.connection import fetch_number, first_row
from catbuilder.catalogue.workspace import Workspace, record_rejections
from catbuilder.core.csv_table import (
    BadValue,
    CsvRows,
    Rejection,
    parse_class,
    parse_number,
    parse_object_id,
    read_table,
)
from catbuilder.core.errors import InputError
from catbuilder.core.resources import query

_RESERVED_NAMES = ("validation", "calibration")  # the table `metrics` lists these beside the test sets


@dataclass(frozen=True)
class TestSetReport:
    """Result of `add_test_set`."""

    name: str
    survey: str
    members: int
    with_truth: int
    known: int  # members that are in the catalogue already
    already_trained: int  # members that an earlier round trained on: the test set was made too late
    rejections: tuple[Rejection, ...]  # rows that are not members, or members whose true class could not be read

    def sentences(self) -> list[str]:
        """Describe the test set, and warn of members that cannot be tested on."""
        text = [f"Test set {self.name} of {self.survey}: {self.members} objects, {self.with_truth} with a true class."]
        if self.already_trained:
            text.append(
                f"Warning: earlier rounds were trained on {self.already_trained} of them; the metrics of those rounds "
                "on this set are invalid."
            )
        if self.known < self.members:
            missing = self.members - self.known
            text.append(f"{missing} are not in the catalogue yet; ingest their images to test on them.")
        return text


def add_test_set(workspace: Workspace, name: str, table: Path, *, survey: str) -> TestSetReport:
    """Declare the objects of a table as test set `name` of `survey`, with their true classes.

    Images are ingested separately.

    Parameters
    ----------
    name : letters, digits and _
    table : CSV file. Column `object_id` is required. `label`, the true class, may be missing or empty; a set without
        true classes is scored but not measured. `votes` is the fraction of volunteers who voted for `label`.

    Raises
    ------
    InputError
        The set exists already for this survey (test sets are written once), or the name is not allowed.
    """
    if not name.isidentifier():
        raise InputError(f"'{name}' cannot name a test set; use letters, digits and _ (HP, FO ...)")
    if name in _RESERVED_NAMES:
        raise InputError(
            f"'{name}' cannot name a test set: catbuilder uses it for its own {name} objects; give another name"
        )
    workspace.check_survey(survey)
    rows_in = read_table(table, ["object_id"], limits=workspace.config.limits)
    rows = [row for numbered in rows_in.rows if (row := _read_row(numbered, rows_in, workspace.config.classes))]
    with workspace.recording(f"testset {name} --survey {survey}") as recording:
        con = recording.con
        if first_row(con, "SELECT 1 FROM test_sets WHERE test_set = ? AND survey = ? LIMIT 1", [name, survey]):
            raise InputError(f"test set {name} of {survey} exists already and is frozen; give the new set another name")
        schema = pa.schema([("object_id", pa.int64()), ("truth", pa.string()), ("votes", pa.float32())])
        con.register("incoming", pa.Table.from_pylist(rows, schema=schema))
        stamp = {"test_set": name, "survey": survey, "round": recording.round, "run": recording.run}
        con.execute(query("sets/record_test_set"), stamp)
        trained = con.execute(query("sets/trained_test_objects"), {"test_set": name}).fetchall()
        record_rejections(recording, rows_in.rejections)
        ingested = fetch_number(con, query("sets/ingested_test_objects"), {"test_set": name, "survey": survey})
    with_truth = sum(row["truth"] is not None for row in rows)
    rejections = tuple(rows_in.rejections)
    return TestSetReport(name, survey, len(rows), with_truth, ingested, len(trained), rejections)


def _read_row(numbered: tuple[int, dict[str, str]], table: CsvRows, classes: Sequence[str]) -> dict[str, Any] | None:
    """Read a member; one with an unreadable class stays a member without a class, so that nothing trains on it."""
    number, cells = numbered
    row: dict[str, Any] = {}
    try:
        row["object_id"], _ = parse_object_id(cells["object_id"])
        row["truth"] = parse_class(cells["label"], classes) if cells.get("label") else None
        row["votes"] = parse_number(cells, "votes", 0.0, 1.0)
    except BadValue as error:
        kept = "; the object is a member all the same, without a true class" if "object_id" in row else ""
        table.reject(number, cells, f"{error}{kept}")
        return {"object_id": row["object_id"], "truth": None, "votes": None} if row else None
    return row
