"""Fixed test sets: membership and truth are written once, then frozen for good."""

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

_TAKEN = ("validation", "calibration")  # what a round measures beside the test sets


@dataclass(frozen=True)
class TestSetReport:
    """What `testset` did."""

    members: int
    with_truth: int
    known: int  # of these, objects that are in the catalogue already
    already_trained: int  # of these, objects that an earlier round trained on: a test set made too late
    rejections: tuple[Rejection, ...]  # rows that are not members, or members without the truth that stood there


def add_test_set(workspace: Workspace, name: str, table: Path, *, survey: str) -> TestSetReport:
    """Declare the objects of a table to be test set `name` in `survey`, with their true classes.

    `object_id` is needed; `label` is the truth and may be missing or empty (such a set is scored, not
    measured); `votes` is the share of the volunteers who gave it. Images are ingested beside this.

    Raises
    ------
    InputError
        The set exists for this survey: test sets are written once. Or the name is not a plain one, or taken.
    """
    if not name.isidentifier():
        raise InputError(f"'{name}' cannot name a test set; use letters, digits and _ (HP, FO ...)")
    if name in _TAKEN:
        raise InputError(
            f"'{name}' cannot name a test set: catbuilder lists its own {name} objects under that name; give another"
        )
    workspace.check_survey(survey)
    rows_in = read_table(table, ["object_id"], limits=workspace.config.limits)
    rows = [row for numbered in rows_in.rows if (row := _read_row(numbered, rows_in, workspace.config.classes))]
    with workspace.recording(f"testset {name} --survey {survey}") as recording:
        con = recording.con
        if first_row(con, "SELECT 1 FROM test_sets WHERE test_set = ? AND survey = ? LIMIT 1", [name, survey]):
            raise InputError(f"test set {name} of {survey} is written and frozen; give another name to a new set")
        schema = pa.schema([("object_id", pa.int64()), ("truth", pa.string()), ("votes", pa.float32())])
        con.register("incoming", pa.Table.from_pylist(rows, schema=schema))
        stamp = {"test_set": name, "survey": survey, "round": recording.round, "run": recording.run}
        con.execute(query("sets/record_test_set"), stamp)
        trained = con.execute(query("sets/trained_test_objects"), {"test_set": name}).fetchall()
        record_rejections(recording, rows_in.rejections)
        ingested = fetch_number(con, query("sets/known_test_objects"), {"test_set": name, "survey": survey})
    with_truth = sum(row["truth"] is not None for row in rows)
    return TestSetReport(len(rows), with_truth, ingested, len(trained), tuple(rows_in.rejections))


def _read_row(numbered: tuple[int, dict[str, str]], table: CsvRows, classes: Sequence[str]) -> dict[str, Any] | None:
    """A member, with its truth where that can be read: left out of the set, it would be free to be trained on."""
    number, cells = numbered
    row: dict[str, Any] = {}
    try:
        row["object_id"], _ = parse_object_id(cells["object_id"])
        row["truth"] = parse_class(cells["label"], classes) if cells.get("label") else None
        row["votes"] = parse_number(cells, "votes", 0.0, 1.0)
    except BadValue as error:
        kept = "; it is a member all the same, without a truth" if "object_id" in row else ""
        table.reject(number, cells, f"{error}{kept}")
        return {"object_id": row["object_id"], "truth": None, "votes": None} if row else None
    return row
