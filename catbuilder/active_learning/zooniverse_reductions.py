"""Read votes that Zooniverse has counted: the reductions of Caesar, and those of panoptes_aggregation.

Both have a row for each subject and task (column task, or reducer_key), and the number of votes of each answer:

* in columns: data.smooth, data.features-or-disk (as panoptes_aggregation shortens them), or data.0 (Caesar's numbers);
* or in one column data, as JSON or as Python writes a dict;
* or the answer with most votes alone (consensus reducers): data.most_likely, data.num_votes, data.agreement.

They name subjects by Zooniverse's numbers. The project's export of subjects tells their objects.
"""

import ast
import math
import warnings
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from catbuilder.active_learning.people_answers import Answer, PeopleAnswers, Question, without_case
from catbuilder.active_learning.zooniverse_subjects import SubjectObjects, json_cell, subject_number
from catbuilder.core.errors import InputError
from catbuilder.core.safe_text import in_one_line
from catbuilder.core.settings import Limits
from catbuilder.core.user_csv import BadValue, CsvRow, read_table

ANY_OTHER = "any other answer"
"""What a consensus reducer leaves of the answers that have fewer votes."""

_VOTES = ("question_reducer", "shortcut_reducer", "dropdown_reducer")  # of panoptes_aggregation
_CONSENSUS = ("question_consensus_reducer",)
_NO_ANSWERS = ("aggregation_version", "user_ids", "gold_standard", "metadata", "survey", "ra", "dec")
_HIDDEN = "#/!&"
_LONGEST_DICT = 200_000  # letters
_MOST_PEOPLE = 10**9
_LISTED = 10


class _Reduction(NamedTuple):
    row: int
    subject: str
    question: Question
    votes: Counter[str]
    is_consensus: bool


def read_reductions(
    file: Path, limits: Limits, survey: str | None = None, subjects: SubjectObjects | None = None
) -> PeopleAnswers:
    """Read the votes of each subject and task, an `Answer` for each kind of answer.

    Parameters
    ----------
    survey : survey of objects whose metadata names none
    subjects : object of each subject; without it, a column or reducer object_id has to name them

    Raises
    ------
    InputError
        Nothing tells which objects the subjects show.
    """
    found = PeopleAnswers(read_table(file, [], unique=(), limits=limits))
    rows, found.table.rows = found.table.rows, []
    subjects = subjects or _subjects_within(file, rows, survey)
    read: list[_Reduction] = []
    unread: Counter[str] = Counter()
    for row in rows:
        cells = without_case(row.cells)
        try:
            data = _data(row.cells)
            reducer = cells.get("reducer", "")
            if reducer and reducer not in _VOTES + _CONSENSUS:
                unread[reducer] += 1
            elif not data:
                found.passed_over += 1
            else:
                read.append(_reduction(row.number, cells, data))
        except BadValue as error:
            found.table.reject(row.number, {}, str(error))
    found.notes += [
        f"{n:,} row{'' if n == 1 else 's'} of {in_one_line(reducer, 60)} hold no votes, and were not read."
        for reducer, n in unread.most_common(_LISTED)
    ]
    _add_answers(found, read, subjects)
    return found


def _add_answers(found: PeopleAnswers, read: list[_Reduction], subjects: SubjectObjects) -> None:
    """Add the answers of one row for each subject and task: the row of votes rather than that of their consensus."""
    with_votes = {one.question for one in read if not one.is_consensus}
    used = [one for one in read if not one.is_consensus or one.question not in with_votes]
    times = Counter((one.subject, one.question) for one in used)
    for one in used:
        try:
            if times[one.subject, one.question] > 1:
                raise BadValue(f"subject {one.subject} has several rows for this task; keep the one that counts")
            where = subjects.of(one.subject)
        except BadValue as error:
            found.table.reject(one.row, {}, str(error))
            continue
        for answer, people in one.votes.items():
            choices = answer.split("+")  # several choices of one person, where the reducer keeps pairs
            choices = choices if all(choices) else [answer]
            found.answers.append(Answer(one.row, where, one.question, "", tuple(choices), people=people))


def _reduction(row: int, cells: Mapping[str, str], data: Mapping[str, Any]) -> _Reduction:
    question = Question(
        subject_number(cells.get("workflow_id", "")), cells.get("task") or cells.get("reducer_key", ""), ""
    )
    subject = subject_number(cells.get("subject_id", ""))
    if "most_likely" in data or "num_votes" in data:
        return _Reduction(row, subject, question, _consensus(data), True)
    votes = Counter({name: _number(name, value) for name, value in data.items() if name != "None"})  # None: passed over
    return _Reduction(row, subject, question, +votes, False)


def _consensus(data: Mapping[str, Any]) -> Counter[str]:
    """Return the votes of the answer that has most, and of all others together."""
    votes, share = _number("num_votes", data.get("num_votes", 0)), _share(data.get("agreement"))
    if not votes:
        return Counter()
    return +Counter(
        {str(data.get("most_likely", "")).strip() or ANY_OTHER: votes, ANY_OTHER: round(votes / share) - votes}
    )


def _data(cells: Mapping[str, str]) -> dict[str, Any]:
    """Return the answers of a row by name, from its columns data.NAME or its column data."""
    data = {
        name.strip()[len("data.") :]: value
        for name, value in cells.items()
        if name.strip().lower().startswith("data.") and value != ""
    }
    whole = without_case(cells).get("data", "")
    if whole:
        data |= _dict_cell(whole)
    return {name: value for name, value in data.items() if not _is_no_answer(name)}


def _is_no_answer(name: str) -> bool:
    plain = name.lstrip(_HIDDEN).lower()
    return plain == "object_id" or plain.partition(".")[0] in _NO_ANSWERS


def _dict_cell(cell: str) -> dict[str, Any]:
    """Parse a dict as JSON, or as Python prints it: {'yes': 3}, Counter({'yes': 3}) or OrderedDict([('yes', 3)])."""
    value = json_cell(cell)
    if value is None and len(cell) <= _LONGEST_DICT:
        inside = cell.strip()
        for name in ("Counter(", "OrderedDict("):
            if inside.startswith(name) and inside.endswith(")"):
                inside = inside[len(name) : -1]
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of odd escapes in the text
                value = ast.literal_eval(inside)
            if isinstance(value, list):
                value = dict(value)
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            value = None
    if not isinstance(value, dict):
        raise BadValue("data is not a dict of answers and their numbers of votes")
    return {str(name): number for name, number in value.items()}


def _number(name: str, value: Any) -> int:
    """Return a number of votes; pandas writes 3 as 3.0 where another row has none."""
    try:
        number = float(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else math.nan
    except (ValueError, OverflowError):
        number = math.nan
    if not (0 <= number <= _MOST_PEOPLE and number == int(number)):
        raise BadValue(f"data.{name} is '{value}', which is no number of votes")
    return int(number)


def _share(value: Any) -> float:
    try:
        share = float(value)
    except (TypeError, ValueError, OverflowError):
        share = math.nan
    if not 1 / _MOST_PEOPLE <= share <= 1:
        raise BadValue(f"data.agreement is '{value}', which is no share of the votes")
    return share


def _subjects_within(file: Path, rows: list[CsvRow], survey: str | None) -> SubjectObjects:
    """Find the objects that the table itself names: in a column object_id, a reducer of that name, or its metadata."""
    found = SubjectObjects(str(file))
    for row in rows:
        cells = without_case(row.cells)
        fields: dict[str, Any] = {}
        for column in ("metadata", "subject_data", "data.metadata"):
            inside = json_cell(cells.get(column, ""))
            fields |= inside if isinstance(inside, dict) else {}
        for name, value in row.cells.items():
            plain = name.strip().removeprefix("data.")
            if plain.lstrip(_HIDDEN).lower() in ("object_id", "survey") and value:
                fields[plain] = value
        data = json_cell(cells.get("data", ""))
        if isinstance(data, dict):
            fields |= {name: v for name, v in data.items() if name.lstrip(_HIDDEN).lower() in ("object_id", "survey")}
        if any(str(name).lstrip(_HIDDEN).lower() == "object_id" for name in fields):
            found.add(subject_number(cells.get("subject_id", "")), fields, f"its row in {file}", survey)
    if not found.objects and not found.faults:
        raise InputError(
            f"{file} names subjects by Zooniverse's numbers, and not their object_id; give the project's export of "
            "subjects with --subjects subjects.csv"
        )
    return found
