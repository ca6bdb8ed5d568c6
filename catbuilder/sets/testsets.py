"""Declare a fixed test set from a table: its members and true classes are written once and never changed."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from catbuilder.catalogue.connection import fetch_number, first_row
from catbuilder.catalogue.workspace import Workspace, record_rejections
from catbuilder.core.errors import InputError
from catbuilder.core.paths import named_path
from catbuilder.core.resources import query
from catbuilder.core.safe_text import counted
from catbuilder.core.user_csv import (
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

_RESERVED_NAMES = ("validation", "calibration")  # the table `metrics` lists these beside the test sets


@dataclass(frozen=True)
class TestSetReport:
    """Result of `add_test_set`.

    Attributes
    ----------
    name : str
        Name of the test set.
    survey : str
        Survey of its objects.
    members : int
        Number of objects in the set.
    with_truth : int
        Number of members with a true class.
    known : int
        Number of members that are in the catalogue already.
    already_trained : int
        Number of members that an earlier round trained on: the test set was made too late.
    rejections : tuple[Rejection, ...]
        Rows that are not members, or members whose true class could not be read.
    """

    name: str
    survey: str
    members: int
    with_truth: int
    known: int
    already_trained: int
    rejections: tuple[Rejection, ...]

    def sentences(self) -> list[str]:
        """Describe the test set, and warn of members that cannot be tested on."""
        text = [
            f"Test set {self.name} of {self.survey}: {counted(self.members, 'object')}, "
            f"{self.with_truth} with a true class."
        ]
        if self.already_trained:
            text.append(
                f"Warning: earlier rounds were trained on {self.already_trained} of them; the metrics of those rounds "
                "on this set are invalid."
            )
        if self.known < self.members:
            missing = self.members - self.known
            text.append(f"{missing} are not in the catalogue yet; ingest their images to test on them.")
        return text


def add_test_set(workspace: Workspace, name: str, table: str | Path, *, survey: str) -> TestSetReport:
    """Declare the objects of a table as test set `name` of `survey`, with their true classes.

    Images are ingested separately.

    Parameters
    ----------
    workspace : Workspace
        Workspace that the call works on.
    name : str
        Letters, digits and _, such as `"HP"`; it may not begin with a digit.
    table : str or Path
        CSV file. Column `object_id` is required. `label`, the true class, may be missing or empty; a set without true
        classes is scored but not measured. `votes` is the fraction of volunteers who voted for `label`, from 0 to 1.
    survey : str
        Survey of the ids in the table.

    Returns
    -------
    TestSetReport
        Numbers of members, of members with a true class, and of those in the catalogue; the rejected rows.

    Raises
    ------
    InputError
        The set exists already for this survey (test sets are written once), or the name is not allowed.

    Examples
    --------
    >>> catbuilder.add_test_set(workspace, "HP", "hp.csv", survey="des").members
    """
    table = named_path(table, "the table of the test set")
    if not name.isidentifier():
        raise InputError(f"'{name}' cannot name a test set; use letters, digits and _ (HP, FO ...)")
    if name in _RESERVED_NAMES:
        raise InputError(
            f"'{name}' cannot name a test set: catbuilder uses it for its own {name} objects; give another name"
        )
    workspace.check_survey(survey)
    rows_in = read_table(table, [OBJECT_ID], limits=workspace.config.limits)
    truth_columns = (label_column(workspace.config.classes), number_column("votes", 0.0, 1.0))
    rows = [_member(row, rows_in, truth_columns) for row in rows_in.rows]
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


def _member(row: CsvRow, table: CsvRows, truth_columns: tuple[CsvColumn, ...]) -> dict[str, Any]:
    """A member with its truth. A bad truth does not cost the membership: the object would be free to train on."""
    object_id, _ = row["object_id"]
    try:
        values = parse_cells(row.cells, truth_columns)
        return {"object_id": object_id, "truth": values["label"], "votes": values["votes"]}
    except BadValue as error:
        table.reject(row.number, row.cells, f"{error}; the object is a member all the same, without a true class")
        return {"object_id": object_id, "truth": None, "votes": None}
