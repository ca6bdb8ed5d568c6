"""Fixed test sets: membership and truth are written once, then frozen for good."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from catbuilder.catalogue.connection import fetch_number, first_row
from catbuilder.catalogue.workspace import Workspace, record_rejections
from catbuilder.core.csv_table import (
    OBJECT_ID,
    BadValue,
    CsvColumn,
    CsvRow,
    CsvRows,
    Rejection,
    label_column,
    number_column,
    parse_cells,
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
    rows_in = read_table(table, [OBJECT_ID], limits=workspace.config.limits)
    truth_columns = (label_column(workspace.config.classes), number_column("votes", 0.0, 1.0))
    rows = [_member(row, rows_in, truth_columns) for row in rows_in.rows]
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


def _member(row: CsvRow, table: CsvRows, truth_columns: tuple[CsvColumn, ...]) -> dict[str, Any]:
    """A member with its truth. A bad truth does not cost the membership: the object would be free to train on."""
    object_id, _ = row["object_id"]
    try:
        values = parse_cells(row.cells, truth_columns)
        return {"object_id": object_id, "truth": values["label"], "votes": values["votes"]}
    except BadValue as error:
        table.reject(row.number, row.cells, f"{error}; it is a member all the same, without a truth")
        return {"object_id": object_id, "truth": None, "votes": None}
