"""Fixed test sets: membership and truth are written once, then frozen for good."""

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from catbuilder.catalog import first_row
from catbuilder.errors import InputError
from catbuilder.resources import query
from catbuilder.tables import (
    BadValue,
    Rejection,
    parse_class,
    parse_number,
    parse_object_id,
    read_table,
    record_rejections,
)
from catbuilder.workspace import Workspace


@dataclass(frozen=True)
class TestSetReport:
    """What `testset` did."""

    members: int
    with_truth: int
    already_trained: int  # of these, objects that an earlier round trained on: a test set made too late
    rejections: tuple[Rejection, ...]


def add_test_set(workspace: Workspace, name: str, table: Path, *, survey: str) -> TestSetReport:
    """Declare the objects of a table to be test set `name` in `survey`, with their true classes.

    `object_id` is needed; `label` is the truth and may be missing or empty (such a set is scored, not
    measured); `votes` is the share of the volunteers who gave it. Images are ingested beside this.

    Raises
    ------
    InputError
        The set exists for this survey: test sets are written once.
    """
    if not name.isidentifier():
        raise InputError(f"'{name}' cannot name a test set; use letters, digits and _ (HP, FO ...)")
    if survey not in workspace.config.surveys:
        known = ", ".join(workspace.config.surveys)
        raise InputError(f"unknown survey '{survey}'; this workspace has {known} (add it to catbuilder.toml)")
    rows_in = read_table(table, ["object_id"])
    rows = []
    for number, cells in rows_in.rows:
        try:
            label = cells.get("label")
            rows.append({
                "object_id": parse_object_id(cells["object_id"])[0],
                "truth": parse_class(label, workspace.config.classes) if label else None,
                "votes": parse_number(cells, "votes", 0.0, 1.0),
            })  # fmt: skip
        except BadValue as error:
            rows_in.reject(number, cells, str(error))
    with workspace.recording(f"testset {name} --survey {survey}") as recording:
        con = recording.con
        if first_row(con, "SELECT 1 FROM test_sets WHERE test_set = ? AND survey = ? LIMIT 1", [name, survey]):
            raise InputError(f"test set {name} of {survey} is written and frozen; give another name to a new set")
        schema = pa.schema([("object_id", pa.int64()), ("truth", pa.string()), ("votes", pa.float32())])
        con.register("incoming", pa.Table.from_pylist(rows, schema=schema))
        stamp = {"test_set": name, "survey": survey, "round": recording.round, "run": recording.run}
        con.execute(query("record_test_set"), stamp)
        trained = con.execute(query("trained_test_objects"), {"test_set": name}).fetchall()
        record_rejections(recording, rows_in.rejections)
    with_truth = sum(row["truth"] is not None for row in rows)
    return TestSetReport(len(rows), with_truth, len(trained), tuple(rows_in.rejections))
