"""Declare a fixed test set from a table: its members and true classes are written once and never changed."""

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from catbuilder.catalogue.connection import fetch_number, first_row
from catbuilder.catalogue.workspace import Workspace, record_rejections
from catbuilder.core.errors import InputError
from catbuilder.core.paths import named_path
from catbuilder.core.resources import query
from catbuilder.core.safe_text import counted
from catbuilder.core.user_csv import (
    OBJECT_ID,
    CsvRows,
    Rejection,
    label_column,
    list_columns,
    number_column,
    read_table,
    unused_columns,
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
        Rows that only repeat an earlier row.
    unused_columns : tuple[str, ...]
        Columns of the table that are not used, some with a hint.
    """

    name: str
    survey: str
    members: int
    with_truth: int
    known: int
    already_trained: int
    rejections: tuple[Rejection, ...]
    unused_columns: tuple[str, ...] = ()

    def sentences(self) -> list[str]:
        """Describe the test set, and warn of members that cannot be tested on."""
        text = [
            f"Test set {self.name} of {self.survey}: {counted(self.members, 'object')}, "
            f"{self.with_truth} with a true class."
        ]
        text += unused_columns(self.unused_columns)
        if self.already_trained:
            text.append(
                f"Warning: earlier rounds were trained on {self.already_trained} of them; the metrics of those rounds "
                "on this set are invalid."
            )
        if self.known < self.members:
            missing = self.members - self.known
            are, them = ("is", "its image to test on it") if missing == 1 else ("are", "their images to test on them")
            text.append(f"{missing:,} of them {are} not in the catalogue yet; ingest {them}.")
        return text


def add_test_set(
    workspace: Workspace,
    name: str,
    table: str | Path,
    *,
    survey: str,
    without_truth: bool = False,
    strict: bool = False,
) -> TestSetReport:
    """Declare the objects of a table as test set `name` of `survey`, with their true classes.

    Images are ingested separately. A table with a row that cannot be used is refused, since the set could not be
    completed later.

    Parameters
    ----------
    workspace : Workspace
        Workspace that the call works on.
    name : str
        Letters, digits and _, such as `"HP"`; it may not begin with a digit.
    table : str or Path
        CSV file with `object_id`, `label` (the true class, or empty for a member without one) and optionally `votes`,
        the fraction of volunteers who voted for `label`, from 0 to 1; names of columns in any case.
    survey : str
        Survey of the ids in the table.
    without_truth : bool
        Allow a set without any true class, which is scored but not measured; default False.
    strict : bool
        Also refuse rows that only repeat an earlier row; default False.

    Returns
    -------
    TestSetReport
        Numbers of members, of members with a true class, and of those in the catalogue; the rejected rows.

    Raises
    ------
    InputError
        The set exists already for this survey (test sets are written once), the name is not allowed, a row cannot be
        used, or no row has a true class.

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
    columns = (OBJECT_ID, label_column(workspace.config.classes), number_column("votes", 0.0, 1.0))
    rows_in = read_table(table, columns, limits=workspace.config.limits)
    rows_in.refuse_rejections(repeats=strict)
    rows = [{"object_id": row["object_id"][0], "truth": row["label"], "votes": row["votes"]} for row in rows_in.rows]
    with_truth = sum(row["truth"] is not None for row in rows)
    _check_truth(rows_in, with_truth, without_truth)
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
    rejections = tuple(rows_in.rejections)
    return TestSetReport(name, survey, len(rows), with_truth, ingested, len(trained), rejections, rows_in.unused)


def _check_truth(table: CsvRows, with_truth: int, without_truth: bool) -> None:
    """Refuse a set without any true class, unless it was asked for: a misspelt column would be frozen like that."""
    if with_truth and without_truth:
        raise InputError(f"{table.path} has true classes in its column label; leave out --no-truth, or the column")
    if with_truth or without_truth:
        return
    what = "has no true class in its column label" if "label" in table.columns else "has no column 'label'"
    unused = f" (not used are {list_columns(table.unused)})" if table.unused else ""
    raise InputError(
        f"{table.path} {what}{unused}, and a test set cannot be changed later; name the column of the true classes "
        "label, or give --no-truth for a set that is scored but never measured"
    )
