"""Explain one object: its catalogue row, and every recorded event that led to it."""

from dataclasses import dataclass
from struct import pack
from typing import Any

from catbuilder.catalogue.connection import Connection, first_row
from catbuilder.catalogue.id_ranges import IdRange, restricted_to
from catbuilder.catalogue.workspace import Workspace
from catbuilder.core.errors import ObjectNotFound
from catbuilder.core.resources import query
from catbuilder.core.safe_text import in_one_line
from catbuilder.core.user_csv import BadValue, parse_object_id

_LONGEST_NAME = 80  # characters of a name that a message repeats


@dataclass(frozen=True)
class ObjectHistory:
    """The current catalogue row of an object, and its events in order (round, what, detail).

    Attributes
    ----------
    now : dict[str, Any]
        The row of `catalog`: value by column.
    events : list[tuple[int, str, str]]
        Round, kind and detail of each event; for an image of a catalogued object its own first, then that object's.
    """

    now: dict[str, Any]
    events: list[tuple[int, str, str]]


def why(workspace: Workspace, object_id: str | int, survey: str | None = None) -> ObjectHistory:
    """Read the history of one object; for an image of a catalogued object, also that of the catalogued object.

    Parameters
    ----------
    workspace : Workspace
        Workspace that the call works on.
    object_id : str or int
        Id of the object in its survey.
    survey : str, optional
        Survey of the object; it may be left out if only one survey has the id.

    Returns
    -------
    ObjectHistory
        The object's row of the catalogue, and its events in order.

    Raises
    ------
    ObjectNotFound
        No survey has the id, or several have it and `survey` is None.

    Examples
    --------
    >>> story = catbuilder.why(workspace, 5, survey="des")
    >>> story.now["label"], story.events
    """
    with workspace.reading() as con:
        survey, number = find_object(con, str(object_id), survey)
        key: dict[str, str | int] = {"survey": survey, "object_id": number}
        events = con.execute(query("inspection/why"), key).fetchall()
        shown = first_row(con, query("inspection/aliased_object"), key)
        if shown:
            key["object_id"] = shown[0]
            events += con.execute(query("inspection/why"), key).fetchall()
        with restricted_to(con, IdRange(survey, int(key["object_id"]), int(key["object_id"]))):
            now = con.execute("SELECT * FROM catalog")
            names = [column[0] for column in now.description or []]
            single = [str(column[1]) == "FLOAT" for column in now.description or []]
            values = map(_as_recorded, now.fetchall()[0], single)
            return ObjectHistory(dict(zip(names, values, strict=True)), events)


def _as_recorded(value: Any, single: bool) -> Any:
    """Return a single-precision number with only its significant digits: 17.851, not 17.85099983215332."""
    if not single or value is None:
        return value
    # numpy would do it, but its import takes a fifth of the time of `why`
    shorter = (float(f"{value:.{digits}g}") for digits in range(1, 9))
    return next((short for short in shorter if pack("f", short) == pack("f", value)), float(f"{value:.9g}"))


def find_object(con: Connection, object_id: str, survey: str | None = None) -> tuple[str, int]:
    """Find survey and number of an object by its id or name.

    Raises
    ------
    ObjectNotFound
        The id is not valid, no survey has it, or several have it and `survey` is None.
    """
    try:
        number, name = parse_object_id(object_id.strip())
    except BadValue as error:
        raise ObjectNotFound(f"{error}; give an id of the survey") from None
    return _survey_of(con, number, name, survey), number


def _survey_of(con: Connection, number: int, name: str | None, survey: str | None) -> str:
    surveys = con.execute("SELECT DISTINCT survey FROM objects WHERE object_id = ? ORDER BY 1", [number]).fetchall()
    found = [s for (s,) in surveys]
    if survey is not None and survey in found:
        return survey
    if survey is None and len(found) == 1:
        return str(found[0])
    if not found and name is not None:
        shown = in_one_line(repr(name), _LONGEST_NAME)
        raise ObjectNotFound(
            f"no object named {shown} is in the catalogue; see which names it has with: "
            'catbuilder sql "SELECT survey, object_id, name FROM objects WHERE name IS NOT NULL LIMIT 5"'
        )
    if not found:
        raise ObjectNotFound(
            f"no object {number} is in the catalogue; see which ids it has with: catbuilder sql "
            f'"SELECT survey, object_id, name FROM objects ORDER BY abs(object_id - {number}) LIMIT 5"'
        )
    if survey is None:
        raise ObjectNotFound(f"object {number} is in {' and '.join(found)}; choose one with --survey")
    raise ObjectNotFound(f"no object {number} of survey {survey} is in the catalogue; it is in {' and '.join(found)}")
