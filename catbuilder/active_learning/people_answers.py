"""Hold the answers of people as every platform's reader gives them: who answered what to which question.

An answer is kept with all its choices, also with those that mean no class: `count_answers` judges them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

from catbuilder.core.safe_text import in_one_line
from catbuilder.core.user_csv import BadValue, CsvRows, parse_object_id

_HIDDEN = "#/!&"  # Zooniverse's marks of fields that volunteers do not see
_LISTED_FIELDS = 10


class Question(NamedTuple):
    """A question that people were asked: its workflow, its task, and its words; empty where a platform has none."""

    workflow: str
    task: str
    text: str


@dataclass(frozen=True)
class Answer:
    """One person's answer to one question about one object, or the number of people who gave it.

    Attributes
    ----------
    row : row or task of the file, counted from 1
    cells : survey and object_id
    person : name that is the same in every answer of a person; empty in what a platform has counted
    choices : what was chosen; empty where the question was passed over
    when : time of the answer as the platform writes it, or empty
    version : version of the workflow, or empty
    people : how many people gave it; 1 except in what a platform has counted
    """

    row: int
    cells: dict[str, str]
    question: Question
    person: str
    choices: tuple[str, ...]
    when: str = ""
    version: str = ""
    people: int = 1


@dataclass
class PeopleAnswers:
    """The answers that a file holds.

    Attributes
    ----------
    table : columns of the file, and the rows that could not be read
    answers : those that could, in the order of the file
    passed_over : number of rows or annotations that say nothing: skipped, or without any question
    likely_tasks : tasks that are questions by their name, whatever was answered
    notes : what a person should know of the file, a sentence each
    """

    table: CsvRows
    answers: list[Answer] = field(default_factory=list)
    passed_over: int = 0
    likely_tasks: frozenset[str] = frozenset()
    notes: list[str] = field(default_factory=list)


def without_case(cells: Mapping[str, Any]) -> dict[str, Any]:
    """Give the cells of a row by the names of their columns in lower case."""
    return {name.strip().lower(): value for name, value in cells.items()}


def read_object(fields: Any, what: str, survey: str | None) -> dict[str, str]:
    """Read survey and object_id from fields whose names may carry Zooniverse's marks, in any case.

    Parameters
    ----------
    what : the fields, as a message names them
    survey : survey of objects whose fields do not name one

    Raises
    ------
    BadValue
        There is no object_id, two fields disagree about it, or it is no id.
    """
    if not isinstance(fields, dict):
        raise BadValue(f"{what} is missing")
    named: dict[str, Any] = {}
    for name, value in fields.items():
        plain = str(name).strip().lstrip(_HIDDEN).strip().lower()
        if plain in ("object_id", "survey") and str(named.setdefault(plain, value)) != str(value):
            raise BadValue(f"{what} has two different fields {plain}; keep one of them")
    object_id = named.get("object_id")
    if object_id is None or object_id == "":
        raise BadValue(f"{what} has no object_id ({_list_fields(fields)})")
    if isinstance(object_id, bool | list | dict):
        raise BadValue(f"the object_id of {what} is neither a number nor text")
    return {"object_id": _canonical(str(object_id).strip()), "survey": str(named.get("survey") or survey or "").strip()}


def seconds(when: str) -> float | None:
    """Read a time such as '2026-11-20 10:00:00 UTC' or '2026-11-20T10:00:00.5Z'; None for anything else."""
    try:
        moment = datetime.fromisoformat(when.strip().removesuffix("UTC").strip())
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def _canonical(text: str) -> str:
    """Write an id in one way, so that 007 and 7 are the same object."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise BadValue("object_id is not valid text") from None
    number, name = parse_object_id(text)
    return str(number) if name is None else name


def _list_fields(fields: Mapping[str, Any]) -> str:
    names = [in_one_line(name, 40) for name in fields]
    if not names:
        return "it has no fields at all"
    more = f" and {len(names) - _LISTED_FIELDS} more" if len(names) > _LISTED_FIELDS else ""
    return f"it has {', '.join(names[:_LISTED_FIELDS])}{more}"
