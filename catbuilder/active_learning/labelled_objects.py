"""Find the catalogued object that a label or an answer means: by id, with or without its survey, or by an alias."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from catbuilder.catalogue.connection import Connection
from catbuilder.core.resources import query
from catbuilder.core.user_csv import BadValue, parse_object_id


@dataclass(frozen=True)
class KnownObjects:
    """The objects of the catalogue.

    Attributes
    ----------
    stands_for : the catalogued object of each survey and id, which is another one for an image that is an alias
    surveys : the surveys that contain each id
    """

    stands_for: dict[tuple[str, int], int] = field(default_factory=dict)
    surveys: dict[int, list[str]] = field(default_factory=dict)

    def survey_of(self, object_id: int, name: str | None) -> str:
        """Return the only survey that contains an id.

        Raises
        ------
        BadValue
            No survey has it, or several have; the message calls it by its name, if it has one.
        """
        surveys = self.surveys.get(object_id, [])
        if len(surveys) != 1:
            what = f"is in {' and '.join(sorted(surveys))}" if surveys else "is not in the catalogue"
            raise BadValue(f"object {name or object_id} {what}; ingest it, or name its survey with --survey")
        return surveys[0]

    def meant(self, cells: Mapping[str, str]) -> tuple[str, int]:
        """Return survey and id of the object that the cells `survey` and `object_id` mean, as far as it is known."""
        object_id, _ = parse_object_id(cells["object_id"])
        surveys = self.surveys.get(object_id, [])
        survey = cells["survey"] or (surveys[0] if len(surveys) == 1 else "")
        return survey, self.stands_for.get((survey, object_id), object_id)


def known_objects(con: Connection) -> KnownObjects:
    """Read the objects of the catalogue."""
    known = KnownObjects()
    for survey, object_id, stands_for in con.execute(query("active_learning/known_ids")).fetchall():
        known.stands_for[survey, object_id] = stands_for
        known.surveys.setdefault(object_id, []).append(survey)
    return known
