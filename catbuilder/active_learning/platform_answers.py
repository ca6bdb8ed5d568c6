"""Read the answers that Zooniverse and Label Studio export, as rows of a table of labels.

Both exports repeat the fields survey and object_id that `platform_subjects` wrote for each object. Several people may
have answered for one object. The latest answer of each person counts. The class with most votes becomes the label, and
its share of the votes the confidence; an object without a majority is rejected.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from catbuilder.core.errors import InputError
from catbuilder.core.safe_text import in_one_line
from catbuilder.core.settings import Limits
from catbuilder.core.user_csv import BadValue, CsvColumn, CsvRow, CsvRows, read_table

Layout = Literal["plain", "zooniverse", "labelstudio"]

_HIDDEN = "#/!&"  # Zooniverse's marks of fields that volunteers do not see


@dataclass
class _Asked:
    """One object, its first row in the file, and the latest answer of each annotator."""

    row: int
    cells: dict[str, str]
    answers: dict[str, str] = field(default_factory=dict)


def parse_layout(text: str) -> Layout:
    """Check the name of a layout given on the command line.

    Raises
    ------
    InputError
        There is no such layout.
    """
    for layout in get_args(Layout):
        if text == layout:
            return layout
    raise InputError(f"there is no layout '{in_one_line(text)}' of labels; use {', '.join(get_args(Layout))}")


def parse_answer_classes(pairs: Sequence[str], classes: Sequence[str]) -> dict[str, str]:
    """Parse texts like 'Features or disk=spiral' into the class of each answer; each class is its own answer too.

    Raises
    ------
    InputError
        A text is not ANSWER=CLASS, or names no class.
    """
    meanings = {_plain(name): name for name in classes}
    for pair in pairs:
        answer, equals, name = pair.rpartition("=")
        if not equals or name.strip() not in classes:
            raise InputError(
                f"'{in_one_line(pair)}' does not map an answer to a class; give ANSWER=CLASS with one of the classes "
                f"{', '.join(classes)}"
            )
        meanings[_plain(answer)] = name.strip()
    return meanings


def read_annotations(file: Path, layout: Layout, meanings: Mapping[str, str], limits: Limits) -> CsvRows:
    """Read one row per object: object_id, survey, label, annotator and, from several people, confidence.

    Parameters
    ----------
    layout : 'zooniverse', a project's export of classifications (CSV); or 'labelstudio', an export in its JSON format
    meanings : class of each answer, by the answer in lower case

    Raises
    ------
    InputError
        The file is not of that layout.
    """
    asked: dict[tuple[str, str], _Asked] = {}
    if layout == "zooniverse":
        columns = [CsvColumn(name, required=True) for name in ("annotations", "subject_data")]
        table = read_table(file, columns, limits=limits)
        numbered, table.rows = table.rows, []
        for row in numbered:
            _collect(table, asked, row.number, lambda cells=row.cells: _of_classification(cells, meanings))
    else:
        table = CsvRows(file, ["object_id", "survey", "label"])
        for number, task in enumerate(_tasks(file, limits), start=1):
            _collect(table, asked, number, lambda task=task: _of_task(task, meanings))
    for one in asked.values():
        try:
            table.rows.append(CsvRow(one.row, one.cells | _verdict(one.answers, layout)))
        except BadValue as error:
            table.reject(one.row, one.cells, str(error))
    return table


def _collect(table: CsvRows, asked: dict[tuple[str, str], _Asked], row: int, read: Any) -> None:
    """Add the answers of one row or task to those for the same object, or reject it."""
    cells: dict[str, str] = {}
    try:
        cells, answers = read()
        one = asked.setdefault((cells["survey"], cells["object_id"]), _Asked(row, cells))
        for annotator, label in answers:
            one.answers[annotator] = label
    except BadValue as error:
        table.reject(row, cells, str(error))


def _verdict(answers: Mapping[str, str], layout: Layout) -> dict[str, str]:
    """Return label, confidence and annotator of an object by majority vote."""
    (best, votes), *others = Counter(answers.values()).most_common()
    if others and others[0][1] == votes:
        raise BadValue(
            f"{votes} of {len(answers)} people answered {best} and as many {others[0][0]}: there is no majority"
        )
    if len(answers) == 1:
        return {"label": best, "annotator": next(iter(answers)), "confidence": ""}
    return {"label": best, "annotator": f"{layout}: {votes} of {len(answers)}", "confidence": f"{votes / len(answers)}"}


def _of_classification(
    cells: Mapping[str, str], meanings: Mapping[str, str]
) -> tuple[dict[str, str], list[tuple[str, str]]]:
    """Read object and answer from one row of Zooniverse's export."""
    subjects = _json(cells, "subject_data")
    if not isinstance(subjects, dict) or len(subjects) != 1:
        raise BadValue("subject_data does not describe exactly one subject")
    where = _object(next(iter(subjects.values())), "the subject's metadata")
    tasks = _json(cells, "annotations")
    values = [task.get("value") for task in tasks if isinstance(task, dict)] if isinstance(tasks, list) else []
    annotator = cells.get("user_name") or f"classification {cells.get('classification_id', '')}"
    return where, [(annotator, _meant([value for value in values if isinstance(value, str)], meanings))]


def _of_task(task: Any, meanings: Mapping[str, str]) -> tuple[dict[str, str], list[tuple[str, str]]]:
    """Read object and answers from one task of Label Studio's export."""
    if not isinstance(task, dict):
        raise BadValue("it is not a task of Label Studio")
    where = _object(task.get("data"), "the task's data")
    annotations = [one for one in task.get("annotations") or [] if isinstance(one, dict)]
    answers = [
        (_who(one.get("completed_by")), _meant(_choices(one.get("result")), meanings))
        for one in annotations
        if not one.get("was_cancelled")
    ]
    if not answers:
        raise BadValue("nobody has answered it")
    return where, answers


def _choices(result: Any) -> list[str]:
    values = [part.get("value") for part in result or [] if isinstance(part, dict) and part.get("type") == "choices"]
    return [str(choice) for value in values if isinstance(value, dict) for choice in value.get("choices") or []]


def _who(completed_by: Any) -> str:
    """Return a user's e-mail address if the export has it, else the user's number."""
    if isinstance(completed_by, dict):
        completed_by = completed_by.get("email") or completed_by.get("id")
    return f"labelstudio user {completed_by}" if isinstance(completed_by, int) else str(completed_by or "labelstudio")


def _object(fields: Any, what: str) -> dict[str, str]:
    """Read survey and object_id from fields whose names may carry Zooniverse's marks."""
    named = (
        {str(name).strip().lstrip(_HIDDEN).lower(): value for name, value in fields.items()}
        if isinstance(fields, dict)
        else {}
    )
    object_id = named.get("object_id")
    if object_id is None:
        raise BadValue(f"{what} has no object_id; export the objects with: catbuilder labels export DIR --layout ...")
    return {"object_id": str(object_id).strip(), "survey": str(named.get("survey") or "").strip()}


def _meant(answers: Sequence[str], meanings: Mapping[str, str]) -> str:
    """Return the class of the first answer that means one."""
    for answer in answers:
        if _plain(answer) in meanings:
            return meanings[_plain(answer)]
    said = f"the answer '{in_one_line(answers[0], 60)}' means no class" if answers else "there is no answer in words"
    raise BadValue(f"{said}; map answers to classes with --answer 'ANSWER=CLASS'")


def _plain(answer: str) -> str:
    return " ".join(answer.split()).lower()


def _json(cells: Mapping[str, str], column: str) -> Any:
    try:
        return json.loads(cells[column])
    except (ValueError, RecursionError):
        raise BadValue(f"{column} is not JSON") from None


def _tasks(file: Path, limits: Limits) -> Iterator[Any]:
    try:
        if file.stat().st_size > limits.max_csv_mb * 1_000_000:
            raise InputError(
                f"{file} is larger than {limits.max_csv_mb:,} MB, and must fit in memory; export it in "
                "several parts, or raise limits.max_csv_mb in catbuilder.toml"
            )
        tasks = json.loads(file.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise InputError(
            f"{file} cannot be read ({error.strerror}); give the path of Label Studio's JSON export"
        ) from None
    except (ValueError, RecursionError):
        raise InputError(f"{file} is not JSON; export from Label Studio in its JSON format") from None
    if not isinstance(tasks, list):
        raise InputError(f"{file} is not a list of tasks; export from Label Studio in its JSON format")
    yield from tasks
