"""Find the object that each subject of Zooniverse shows, by the project's export of subjects."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from catbuilder.active_learning.people_answers import read_object, without_case
from catbuilder.core.errors import InputError
from catbuilder.core.settings import Limits
from catbuilder.core.user_csv import BadValue, list_columns, read_table


@dataclass
class SubjectObjects:
    """Survey and object_id of subjects, by Zooniverse's number of the subject.

    Attributes
    ----------
    source : where they were read, as a message names it
    objects : survey and object_id
    faults : why a subject has no object
    """

    source: str
    objects: dict[str, dict[str, str]] = field(default_factory=dict)
    faults: dict[str, str] = field(default_factory=dict)

    def add(self, subject: str, fields: Any, what: str, survey: str | None) -> None:
        """Read the object of a subject from its metadata."""
        try:
            where = read_object(fields, what, survey)
        except BadValue as error:
            self.faults.setdefault(subject, str(error))
            return
        known = self.objects.setdefault(subject, where)
        if known and known != where:
            self.faults[subject] = f"{self.source} gives it two objects, {known['object_id']} and {where['object_id']}"
            self.objects[subject] = {}

    def of(self, subject: str) -> dict[str, str]:
        """Return survey and object_id of a subject.

        Raises
        ------
        BadValue
            It has none.
        """
        if where := self.objects.get(subject):
            return where
        why = self.faults.get(subject, f"it is not in {self.source}")
        raise BadValue(f"the object of subject {subject or 'without a number'} is unknown: {why}")


def read_subjects(file: Path, limits: Limits, survey: str | None) -> SubjectObjects:
    """Read a project's export of subjects, or a table with the columns subject_id and object_id.

    Raises
    ------
    InputError
        The file cannot be read, or has neither of both.
    """
    table = read_table(file, [], unique=(), limits=limits)
    columns = {name.strip().lower() for name in table.columns}
    if "subject_id" not in columns:
        raise InputError(
            f"{file} has no column 'subject_id' (it has {list_columns(table.columns)}); give Zooniverse's export of "
            "subjects"
        )
    found = SubjectObjects(str(file))
    for row in table.rows:
        cells = without_case(row.cells)
        subject = subject_number(cells.get("subject_id", ""))
        if "metadata" in columns:
            found.add(subject, json_cell(cells.get("metadata", "")), f"its metadata in {file}", survey)
        else:
            found.add(subject, row.cells, f"its row in {file}", survey)
    if table.rejections:
        found.source = f"{file}, of which {len(table.rejections):,} rows could not be read ({table.rejections[0]})"
    return found


def json_cell(cell: str) -> Any:
    """Parse a cell as JSON; None if it is not."""
    try:
        return json.loads(cell)
    except (ValueError, RecursionError):
        return None


def subject_number(cell: str) -> str:
    """Write a subject's number in one way: pandas turns 12 into 12.0 where a number is missing elsewhere."""
    return cell.strip().removesuffix(".0")
