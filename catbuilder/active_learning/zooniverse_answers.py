"""Read the answers in Zooniverse's export of classifications: a row for each classification of a volunteer.

A classification answers one or more tasks: a question (text), one with several choices (a list), a combination of
tasks, or a drawing or text, which are no votes. The subject's metadata names the object, as `platform_subjects` wrote.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from catbuilder.active_learning.people_answers import Answer, PeopleAnswers, Question, read_object, without_case
from catbuilder.active_learning.zooniverse_subjects import SubjectObjects, json_cell
from catbuilder.core.settings import Limits
from catbuilder.core.user_csv import BadValue, read_table

_METADATA = "the subject's metadata"
_EXPORT = "export the objects with: catbuilder labels export DIR --layout zooniverse"
_NO_VOTES = ("text", "drawing", "transcription", "slider", "crop")  # a text may happen to be the name of a class


def read_classifications(
    file: Path, limits: Limits, survey: str | None = None, subjects: SubjectObjects | None = None
) -> PeopleAnswers:
    """Read the answers of every classification; rows that cannot be read are rejected.

    Parameters
    ----------
    survey : survey of objects whose metadata names none
    subjects : objects of subjects whose metadata in the export names none
    """
    found = PeopleAnswers(read_table(file, [], unique=(), limits=limits))
    numbered, found.table.rows = found.table.rows, []
    for row in numbered:
        cells = without_case(row.cells)
        where: dict[str, str] = {}
        try:
            where = _object(cells, survey, subjects)
            tasks = json_cell(cells.get("annotations", ""))
            if tasks is None and cells.get("annotations", "") not in ("", "null"):
                raise BadValue("annotations is not JSON")
            if not isinstance(tasks, list):
                raise BadValue("annotations is not a list of answers")
        except BadValue as error:
            found.table.reject(row.number, where, str(error))
            continue
        found.passed_over += not tasks
        for task in _single_tasks(tasks):
            try:
                found.answers.append(_answer(row.number, where, cells, task))
            except BadValue as error:
                found.table.reject(row.number, where, str(error))
    return found


def _object(cells: Mapping[str, str], survey: str | None, subjects: SubjectObjects | None) -> dict[str, str]:
    shown = json_cell(cells.get("subject_data", ""))
    if not isinstance(shown, dict) or len(shown) != 1:
        raise BadValue("subject_data does not describe exactly one subject")
    subject, fields = next(iter(shown.items()))
    try:
        where = read_object(fields, _METADATA, survey)
    except BadValue as error:
        if subjects is not None:
            return subjects.of(subject)
        raise BadValue(f"{error}; {_EXPORT}, or give the project's export of subjects with --subjects") from None
    listed = subjects.objects.get(subject) if subjects is not None else None
    if listed and listed["object_id"] != where["object_id"]:
        raise BadValue(
            f"subject {subject} is object {where['object_id']} here, and {listed['object_id']} with --subjects"
        )
    return where


def _single_tasks(tasks: list[Any]) -> Iterator[Any]:
    """Give every task of a classification, those inside a combination of tasks too."""
    left = list(reversed(tasks))
    while left:
        task = left.pop()
        inside = task.get("value") if isinstance(task, dict) else None
        if isinstance(inside, list) and any(
            isinstance(one, dict) and {"task", "value"} <= one.keys() for one in inside
        ):
            left += reversed(inside)
        else:
            yield task


def _answer(row: int, where: dict[str, str], cells: Mapping[str, str], task: Any) -> Answer:
    if not isinstance(task, dict) or "value" not in task:
        raise BadValue("one of its annotations has no value; Zooniverse could not export that task")
    name, text = task.get("task"), task.get("task_label")
    votes = str(task.get("taskType") or task.get("task_type") or "").lower() not in _NO_VOTES
    return Answer(
        row,
        where,
        Question(cells.get("workflow_id", ""), _word(name), " ".join(_word(text).split())),
        cells.get("user_name") or f"classification {cells.get('classification_id') or f'in row {row}'}",
        _choices(task["value"]) if votes else (),
        cells.get("created_at", ""),
        cells.get("workflow_version", ""),
    )


def _choices(value: Any) -> tuple[str, ...]:
    """Return what was chosen: the text of an answer, or of each choice; nothing of a drawing or an empty answer."""
    chosen = [_word(one) for one in (value if isinstance(value, list) else [value]) if one is not None]
    return tuple(chosen) if all(chosen) else ()


def _word(value: Any) -> str:
    """Return the text of one choice: of a question, a survey task (choice) or a drop-down list (label)."""
    if isinstance(value, dict):
        value = value.get("choice") or (value.get("label") if "option" in value else None)
    return str(value).strip() if isinstance(value, str | int | float) else ""
