"""Read the answers in Label Studio's exports: JSON, JSON-MIN, and CSV or TSV.

JSON has a task with all its annotations, each a list of results by the name of the control that was used. The others
have a row for each annotation: the task's data, and a column for each control.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from catbuilder.active_learning.answer_meanings import AnswerMeanings, plain
from catbuilder.active_learning.people_answers import Answer, PeopleAnswers, Question, read_object, without_case
from catbuilder.active_learning.platform_layouts import read_header
from catbuilder.active_learning.zooniverse_subjects import json_cell
from catbuilder.core.errors import InputError
from catbuilder.core.safe_text import printable
from catbuilder.core.settings import Limits
from catbuilder.core.user_csv import BadValue, CsvRows, list_columns, read_table

_USUAL_CONTROLS = frozenset({"label", "choice", "choices"})
_NO_ANSWERS = frozenset(
    {"id", "annotator", "annotation_id", "created_at", "updated_at", "lead_time", "agreement", "history", "object_id",
     "survey", "ra", "dec", "image", "name"}
)  # fmt: skip
_FLAT = frozenset({"annotator", "annotation_id", "lead_time"})
_NOBODY = "nobody has answered it"
_EXPORT = "export the objects with: catbuilder labels export DIR --layout labelstudio"


def read_tasks(
    file: Path, meanings: AnswerMeanings, limits: Limits, survey: str | None = None, task: str | None = None
) -> PeopleAnswers:
    """Read Label Studio's JSON or JSON-MIN; tasks that cannot be read are rejected.

    Parameters
    ----------
    meanings : which columns of JSON-MIN are answers is seen from what they say
    survey : survey of objects that name none
    task : name of the control that asks the question, if the user gives it
    """
    found = PeopleAnswers(CsvRows(file, ["object_id", "survey", "label"]))
    flat: list[tuple[int, dict[str, Any]]] = []
    for number, item in enumerate(_items(file, limits), start=1):
        if not isinstance(item, dict):
            found.table.reject(number, {}, "it is not a task of Label Studio")
        elif isinstance(item.get("data"), dict) or not _FLAT & item.keys():
            _read_task(found, number, item, survey)
        else:
            flat.append((number, item))
    _read_flat(found, flat, meanings, survey, task)
    return found


def read_rows(
    file: Path, meanings: AnswerMeanings, limits: Limits, survey: str | None = None, task: str | None = None
) -> PeopleAnswers:
    """Read Label Studio's CSV or TSV, a row for each annotation; see `read_tasks`."""
    _, between = read_header(file)
    found = PeopleAnswers(read_table(file, [], unique=(), limits=limits, delimiter=between))
    rows, found.table.rows = found.table.rows, []
    _read_flat(found, [(row.number, dict(row.cells)) for row in rows], meanings, survey, task)
    return found


def _read_task(found: PeopleAnswers, number: int, task: Mapping[str, Any], survey: str | None) -> None:
    """Add the answers of all annotations of a task; one that cannot be read does not lose the others."""
    where: dict[str, str] = {}
    try:
        where = _object(task.get("data"), survey)
        annotations = task.get("annotations") or task.get("completions") or []
        if not isinstance(annotations, list) or not annotations:
            raise BadValue(_NOBODY)
    except BadValue as error:
        found.table.reject(number, where, str(error))
        return
    for place, annotation in enumerate(annotations):
        if not isinstance(annotation, dict) or not isinstance(annotation.get("result") or [], list):
            found.table.reject(number, where, "one of its annotations is not one of Label Studio")
            continue
        skipped = annotation.get("was_cancelled") or annotation.get("skipped")
        chosen = {} if skipped else _choices_by_control(annotation.get("result") or [])
        found.passed_over += not chosen
        person = _person(annotation.get("completed_by"), annotation.get("id"), f"{number}.{place + 1}")
        for control, choices in chosen.items():
            when = str(annotation.get("created_at") or "")
            found.answers.append(Answer(number, where, Question("", control, ""), person, choices, when))


def _choices_by_control(results: Iterable[Any]) -> dict[str, tuple[str, ...]]:
    """Return what was chosen with each control that offers choices."""
    chosen: dict[str, tuple[str, ...]] = {}
    for part in results:
        value = part.get("value") if isinstance(part, dict) and part.get("type") == "choices" else None
        if isinstance(value, dict):
            control = str(part.get("from_name") or "")
            chosen[control] = chosen.get(control, ()) + _choices(value)
    return chosen


def _read_flat(
    found: PeopleAnswers,
    rows: list[tuple[int, dict[str, Any]]],
    meanings: AnswerMeanings,
    survey: str | None,
    task: str | None,
) -> None:
    """Add the answers of rows that are an annotation each."""
    if not rows:
        return
    found.likely_tasks = _USUAL_CONTROLS
    named = {plain(task)} if task is not None else set()
    answered = {
        column
        for _, fields in rows
        for column, value in fields.items()
        if _is_control(column) and any(meanings.knows(choice) for choice in _choices(value))
    }
    controls = {
        column
        for _, fields in rows
        for column in fields
        if column in answered or plain(column) in named or column.strip().lower() in _USUAL_CONTROLS
    }
    if not controls:
        columns = list(dict.fromkeys(column for _, fields in rows for column in fields if _is_control(column)))
        raise InputError(
            f"no column of {found.table.path} says a class (it has {list_columns(columns) or 'no others'}); map its "
            "answers with --answer 'ANSWER=CLASS', or name the column with --task"
        )
    for number, fields in rows:
        where: dict[str, str] = {}
        try:
            where = _object(fields, survey)
            cells = without_case(fields)
            if not any(cells.get(name) for name in _FLAT):
                raise BadValue(_NOBODY)
        except BadValue as error:
            found.table.reject(number, where, str(error))
            continue
        person = _person(cells.get("annotator"), cells.get("annotation_id"), str(number))
        when = str(cells.get("created_at") or "")
        given = [Answer(number, where, Question("", control, ""), person, _choices(fields.get(control)), when)
                 for control in sorted(controls & fields.keys())]  # fmt: skip
        found.answers += given
        found.passed_over += not given


def _is_control(column: str) -> bool:
    """Whether a column can hold answers; Label Studio calls data that has a control's name _data_NAME."""
    name = column.strip().lower()
    return name not in _NO_ANSWERS and not name.startswith("_data_")


def _choices(value: Any) -> tuple[str, ...]:
    """Return the choices in a value: text, a list, {"choices": [...]}, or one of these as JSON text."""
    if isinstance(value, str) and value.lstrip()[:1] in ("[", "{"):
        value = json_cell(value)
    found: list[str] = []
    left = [value]
    while left:
        one = left.pop()
        if isinstance(one, dict):
            left.append(one.get("choices"))
        elif isinstance(one, list):
            left += reversed(one)
        elif isinstance(one, str | int | float) and str(one).strip():
            found.append(printable(str(one).strip()))
    return tuple(found)


def _person(who: Any, annotation: Any, place: str) -> str:
    """Return a user's e-mail address if the export has it, else the user's number; nobody is two people."""
    if isinstance(who, dict):
        who = who.get("email") or who.get("id")
    name = printable(str(who).strip()) if isinstance(who, str | int) else ""
    if name.isdigit():
        return f"labelstudio user {name}"
    return name or f"labelstudio annotation {annotation if isinstance(annotation, str | int) else place}"


def _object(fields: Any, survey: str | None) -> dict[str, str]:
    try:
        return read_object(fields, "the task's data", survey)
    except BadValue as error:
        raise BadValue(f"{error}; {_EXPORT}") from None


def _items(file: Path, limits: Limits) -> Iterator[Any]:
    try:
        if file.stat().st_size > limits.max_csv_mb * 1_000_000:
            raise InputError(
                f"{file} is larger than {limits.max_csv_mb:,} MB, and must fit in memory; export it in "
                "several parts, or raise limits.max_csv_mb in catbuilder.toml"
            )
        tasks = json.loads(file.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise InputError(f"{file} cannot be read ({error.strerror}); give the path of Label Studio's export") from None
    except (ValueError, RecursionError):
        raise InputError(f"{file} is not JSON; export from Label Studio as JSON, JSON-MIN, CSV or TSV") from None
    if not isinstance(tasks, list):
        raise InputError(f"{file} is not a list of tasks; export from Label Studio as JSON, JSON-MIN, CSV or TSV")
    if not tasks:
        raise InputError(f"{file} has no tasks; export the tasks that were annotated")
    yield from tasks
