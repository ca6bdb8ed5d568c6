"""Pages of the catalogue: what passes a filter, so many objects at a time, in the order of survey and id.

A page is asked for by the object after which it begins, never by its number: to count off the pages before would read
them all. What costs little rules out most objects first, from single columns of single tables (positions, magnitudes,
labels, posteriors); only what is left goes through the view `catalog`, under a lens. Where a filter finds next to
nothing in a large survey, a page ends after a moment and says how far it has looked.
"""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from catbuilder.catalogue.connection import Connection, fetch_arrow, first_row
from catbuilder.catalogue.id_ranges import IdRange, restricted_to
from catbuilder.catalogue.round_records import NOW, require_round
from catbuilder.catalogue.workspace import Workspace
from catbuilder.core.resources import query
from catbuilder.core.safe_text import is_number

PAGE = 50  # objects
_LOOK_S = 1.5  # after which a page ends with what it has found
_GLANCE = 40  # pages' worth of objects looked at first
_MANY = 200_000  # candidates that are looked at together at most
_LAST = 2**63 - 1
WIDEST_DEG = 5.0

NONE = "none"  # a label that is asked for: no label at all


Source = Literal["human", "galaxy_zoo", "imported", "promoted"]
Domain = Literal["in", "extrapolated", "unresolved", "star", "artefact", "unknown", "no_image"]


class Filter(BaseModel):
    """What to show: conditions on the columns of `catalog`, all of which must hold."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    survey: str | None = Field(default=None, title="Survey", max_length=60)
    label: str | None = Field(default=None, title="Class of the label", max_length=60)  # a class, or 'none'
    source: Source | None = Field(default=None, title="Who gave the label")
    predicted: str | None = Field(default=None, title="Predicted class", max_length=60)  # a class
    least: float | None = Field(default=None, title="Least confidence", ge=0, le=1)  # of predicted_confidence
    most: float | None = Field(default=None, title="Highest confidence", ge=0, le=1)
    domain: Domain | None = Field(default=None, title="Domain")
    label_round: int | None = Field(default=None, title="Round of the label", ge=0, le=1_000_000)
    at: int | None = Field(default=None, title="As of round", ge=0, le=1_000_000)  # as of the end of this round
    band: Literal["g", "r", "i"] = Field(default="r", title="Band")
    brightest: float | None = Field(default=None, title="Brightest magnitude", ge=-50, le=50, allow_inf_nan=False)
    faintest: float | None = Field(default=None, title="Faintest magnitude", ge=-50, le=50, allow_inf_nan=False)
    ra: float | None = Field(default=None, title="RA", ge=0, le=360, allow_inf_nan=False)  # ICRS, deg
    dec: float | None = Field(default=None, title="Dec", ge=-90, le=90, allow_inf_nan=False)
    radius: float | None = Field(default=None, title="Radius", gt=0, le=60 * WIDEST_DEG, allow_inf_nan=False)  # arcmin

    @model_validator(mode="before")
    @classmethod
    def _no_blanks(cls, given: dict[str, Any]) -> dict[str, Any]:
        """A field of a form that was left empty asks for nothing."""
        stripped = {name: value.strip() if isinstance(value, str) else value for name, value in given.items()}
        return {name: value for name, value in stripped.items() if value not in ("", None)}

    @field_validator("ra", "dec", mode="before")
    @classmethod
    def _from_sexagesimal(cls, given: object, info: ValidationInfo) -> object:
        """10:42:44.3 as a right ascension is in hours, as a declination in degrees."""
        if not isinstance(given, str) or is_number(given):
            return given
        from astropy.coordinates import Angle  # takes a second to import

        try:
            return float(Angle(given, unit="hourangle" if info.field_name == "ra" else "deg").deg)
        except Exception:  # its parser raises what it likes
            raise ValueError("is no position; give degrees, or hours (of Dec degrees) as in 10:42:44.3") from None

    @model_validator(mode="after")
    def _whole_cone(self) -> "Filter":
        if len({self.ra is None, self.dec is None, self.radius is None}) != 1:
            raise ValueError("a cone on the sky needs right ascension, declination and radius")
        return self

    def where(self) -> str:
        """The filter as one SQL condition on the columns of `catalog`, as `export --where` takes it; '' for none.

        Values are numbers and quoted words.
        """
        said = [
            _equal("survey", self.survey),
            "label IS NULL" if self.label == NONE else _equal("label", self.label),
            _equal("source", self.source),
            _equal("predicted_label", self.predicted),
            _between("predicted_confidence", self.least, self.most),
            _equal("domain", self.domain),
            "" if self.label_round is None else f"label_round = {self.label_round}",
            _between(f"mag_{self.band}", self.brightest, self.faintest),
            self.in_cone(),
        ]
        return " AND ".join(part for part in said if part)

    def in_cone(self) -> str:
        """The cone as a condition on `ra` and `dec`; '' for none."""
        if self.ra is None or self.dec is None or self.radius is None:
            return ""
        radius_deg = self.radius / 60
        # the haversine: the cosine of a small angle loses its digits
        half = (
            f"sin(radians(dec - {self.dec!r}) / 2) ** 2 + cos(radians(dec)) * {math.cos(math.radians(self.dec))!r} "
            f"* sin(radians(ra - {self.ra!r}) / 2) ** 2"
        )
        limit = math.sin(math.radians(radius_deg) / 2) ** 2
        low, high = self.dec - radius_deg, self.dec + radius_deg
        return f"dec BETWEEN {low!r} AND {high!r} AND {half} <= {limit!r}"


@dataclass(frozen=True)
class Page:
    """Rows of `catalog` in order; `further` is the object after which the next page begins, None at the end."""

    rows: list[dict[str, Any]]
    further: tuple[str, int] | None
    out_of_time: bool  # it ended before it was full, and there may be more


def page(
    workspace: Workspace, wanted: Filter, after: tuple[str, int] | None = None, n: int = PAGE, look_s: float = _LOOK_S
) -> Page:
    """The first n objects after `after` that pass the filter, with every column of `catalog`, `shard` and `row`.

    Parameters
    ----------
    after : (survey, object_id); by default from the beginning
    look_s : seconds after which the page ends with what it has, if there is anything or not

    Raises
    ------
    RoundError
        There is no such round as the filter names.
    """
    until = time.monotonic() + look_s
    with workspace.reading() as con:
        if wanted.at is not None:
            require_round(con, wanted.at)
        rows: list[dict[str, Any]] = []
        for looked_to, found in _portions(con, workspace, wanted, after, n):
            rows += found
            if len(rows) > n:
                last = rows[n - 1]
                return Page(rows[:n], (last["survey"], last["object_id"]), False)
            if time.monotonic() > until:
                return Page(rows, looked_to, True)
        return Page(rows, None, False)


def _portions(
    con: Connection, workspace: Workspace, wanted: Filter, after: tuple[str, int] | None, n: int
) -> Iterator[tuple[tuple[str, int], list[dict[str, Any]]]]:
    """How far was looked, and what passes there: a glance at whoever comes next, then larger and larger portions.

    The glance costs the same in any catalogue and fills a page where one object in forty passes; what the cheap
    conditions read grows with the catalogue.
    """
    size, look = _GLANCE * n, wanted.radius is not None  # a cone is rarely where a page begins
    for survey in sorted(workspace.config.surveys):
        if survey < (after[0] if after else "") or wanted.survey not in (None, survey):
            continue
        first, ended = after[1] + 1 if after and after[0] == survey else -_LAST, False
        while not ended:
            seen = IdRange(survey, first, _LAST)
            cheap = _cheap_conditions(workspace, wanted, seen) if look else []
            last, ended = _candidates(con, seen, cheap, size)
            if last is not None:
                yield (survey, last), _passing(con, IdRange(survey, first, last), wanted, bool(cheap), n + 1)
                first, size = last + 1, min(8 * size, _MANY) if look else n + 1
            look = True


def _candidates(con: Connection, seen: IdRange, cheap: list[str], size: int) -> tuple[int | None, bool]:
    """Note the next ids that may pass as the table `candidates`; the last of them, and whether it is the end."""
    conditions = " AND ".join([seen.condition, *cheap])
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE candidates AS SELECT survey, object_id FROM objects {conditions} "
        "ORDER BY object_id LIMIT $size",
        {"size": size},
    )
    rows, last = first_row(con, "SELECT count(*), max(object_id) FROM temp.candidates") or (0, None)
    return last, rows < size


def _passing(con: Connection, seen: IdRange, wanted: Filter, sparse: bool, n: int) -> list[dict[str, Any]]:
    """Rows of the catalogue among the candidates, n at most."""
    condition = f"WHERE {wanted.where()}" if wanted.where() else ""
    with restricted_to(con, "candidates" if sparse else seen):
        text = query("inspection/browse_page").format(condition=condition)
        at = NOW if wanted.at is None else wanted.at
        return fetch_arrow(con, text, {"at": at, "n": n}).to_pylist()


def _cheap_conditions(workspace: Workspace, wanted: Filter, seen: IdRange) -> list[str]:
    """Conditions on `objects`, and on ids by another single table, that hold for whatever passes the filter."""
    label = None if wanted.label == NONE else wanted.label
    of_label = [_equal("label", label), _equal("source", wanted.source)]
    of_label += [] if wanted.label_round is None else [f"round = {wanted.label_round}"]
    posteriors = [f"p_{name}" for name in workspace.config.classes]
    highest = f"greatest({', '.join(posteriors)})"
    of_score = [_between(highest, wanted.least, wanted.most)]
    if f"p_{wanted.predicted}" in posteriors:
        of_score.append(f"p_{wanted.predicted} = {highest}")
    found = [_between(f"mag_{wanted.band}", wanted.brightest, wanted.faintest), wanted.in_cone()]
    found += [_among("labels", of_label, seen), _among("scores", of_score, seen)]
    return [condition for condition in found if condition]


def _among(table: str, conditions: list[str], seen: IdRange) -> str:
    said = [condition for condition in conditions if condition]
    inside = " AND ".join([seen.condition, *said])
    return f"object_id IN (SELECT object_id FROM {table} {inside})" if said else ""


def _equal(column: str, value: str | None) -> str:
    return "" if value is None else f"{column} = '{value.replace(chr(39), 2 * chr(39))}'"


def _between(column: str, low: float | None, high: float | None) -> str:
    said = [f"{column} >= {low!r}"] if low is not None else []
    return " AND ".join(said + ([f"{column} <= {high!r}"] if high is not None else []))
