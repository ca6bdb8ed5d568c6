"""Browse the catalogue page by page: the objects that pass a filter, sorted by survey and id.

A page is given by the object after which it begins, not by a number, since skipping earlier pages would read them all.
Cheap conditions on single columns of single tables (positions, magnitudes, labels, posteriors) rule out most objects
first; only the rest is read from the view `catalog`. If a filter finds almost nothing in a large survey, the page ends
after a short time and states the last object that was searched.
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
_LOOK_S = 1.5  # search time after which a page ends with the objects found so far
_GLANCE = 40  # pages' worth of objects searched first, without the cheap conditions
_MANY = 200_000  # largest number of candidates in one query
_LAST = 2**63 - 1
WIDEST_DEG = 5.0

NONE = "none"  # as the label of a filter: objects without a label
# One scale for all objects, since one model speaks; a network's own confidence only where nothing could calibrate it.
CONFIDENCE = "coalesce(calibrated_confidence, predicted_confidence)"

Source = Literal["human", "galaxy_zoo", "imported", "promoted"]
Domain = Literal["in", "extrapolated", "unresolved", "star", "artefact", "unknown", "no_image"]


class CatalogueFilter(BaseModel):
    """Conditions on the columns of `catalog`, all of which must hold."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    survey: str | None = Field(default=None, title="Survey", max_length=60)
    label: str | None = Field(default=None, title="Class of the label", max_length=60)  # a class, or 'none'
    source: Source | None = Field(default=None, title="Who gave the label")
    predicted: str | None = Field(default=None, title="Predicted class", max_length=60)  # a class
    least: float | None = Field(default=None, title="Least confidence", ge=0, le=1)  # calibrated, of the prediction
    most: float | None = Field(default=None, title="Highest confidence", ge=0, le=1)
    domain: Domain | None = Field(default=None, title="Domain")
    label_round: int | None = Field(default=None, title="Round of the label", ge=0, le=1_000_000)
    at: int | None = Field(default=None, title="As of round", ge=0, le=1_000_000)  # as of the end of this round
    band: Literal["g", "r", "i"] = Field(default="r", title="Band")
    brightest: float | None = Field(default=None, title="Brightest magnitude", ge=-50, le=50, allow_inf_nan=False)
    faintest: float | None = Field(default=None, title="Faintest magnitude", ge=-50, le=50, allow_inf_nan=False)
    ra: float | None = Field(default=None, title="RA", ge=-180, le=360, allow_inf_nan=False)  # ICRS, deg
    dec: float | None = Field(default=None, title="Dec", ge=-90, le=90, allow_inf_nan=False)
    radius: float | None = Field(default=None, title="Radius", gt=0, le=60 * WIDEST_DEG, allow_inf_nan=False)  # arcmin

    @model_validator(mode="before")
    @classmethod
    def _no_blanks(cls, given: dict[str, Any]) -> dict[str, Any]:
        """Ignore the fields of a form that were left empty."""
        stripped = {name: value.strip() if isinstance(value, str) else value for name, value in given.items()}
        return {name: value for name, value in stripped.items() if value not in ("", None)}

    @field_validator("ra", "dec", mode="before")
    @classmethod
    def _from_sexagesimal(cls, given: object, info: ValidationInfo) -> object:
        """Read 10:42:44.3 in hours for a right ascension, and in degrees for a declination."""
        if not isinstance(given, str) or is_number(given):
            return given
        from astropy.coordinates import Angle  # takes a second to import

        try:
            return float(Angle(given, unit="hourangle" if info.field_name == "ra" else "deg").deg)
        except Exception:  # its parser raises many kinds of errors
            raise ValueError("is not a coordinate; give degrees, or hours (for Dec degrees) as in 10:42:44.3") from None

    @model_validator(mode="after")
    def _whole_cone(self) -> "CatalogueFilter":
        if len({self.ra is None, self.dec is None, self.radius is None}) != 1:
            raise ValueError("a cone on the sky needs right ascension, declination and radius")
        return self

    def where(self) -> str:
        """Return the filter as one SQL condition for `export --where`; '' for none.

        Values are numbers and quoted strings.
        """
        said = [
            _equal("survey", self.survey),
            "label IS NULL" if self.label == NONE else _equal("label", self.label),
            _equal("source", self.source),
            _equal("predicted_label", self.predicted),
            _between(CONFIDENCE, self.least, self.most),
            _equal("domain", self.domain),
            "" if self.label_round is None else f"label_round = {self.label_round}",
            _between(f"mag_{self.band}", self.brightest, self.faintest),
            self.in_cone(),
        ]
        return " AND ".join(part for part in said if part)

    def in_cone(self) -> str:
        """Return the cone as a condition on `ra` and `dec`; '' for none."""
        if self.ra is None or self.dec is None or self.radius is None:
            return ""
        radius_deg = self.radius / 60
        # haversine formula: the cosine of a small angle loses digits
        half = (
            f"sin(radians(dec - {self.dec!r}) / 2) ** 2 + cos(radians(dec)) * {math.cos(math.radians(self.dec))!r} "
            f"* sin(radians(ra - {self.ra!r}) / 2) ** 2"
        )
        limit = math.sin(math.radians(radius_deg) / 2) ** 2
        low, high = self.dec - radius_deg, self.dec + radius_deg
        return f"dec BETWEEN {low!r} AND {high!r} AND {half} <= {limit!r}"


@dataclass(frozen=True)
class CataloguePage:
    """Rows of `catalog` in order, and where the next page begins."""

    rows: list[dict[str, Any]]
    further: tuple[str, int] | None  # the object after which the next page begins; None at the end
    out_of_time: bool  # the search ended before the page was full; there may be more objects


def read_page(
    workspace: Workspace,
    wanted: CatalogueFilter,
    after: tuple[str, int] | None = None,
    n: int = PAGE,
    look_s: float = _LOOK_S,
) -> CataloguePage:
    """Read the first n objects after `after` that pass the filter: every column of `catalog`, `shard` and `row`.

    Parameters
    ----------
    after : (survey, object_id); by default from the beginning
    look_s : search time in seconds, after which the page ends even if it is empty

    Raises
    ------
    RoundError
        There is no round `wanted.at`.
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
                return CataloguePage(rows[:n], (last["survey"], last["object_id"]), False)
            if time.monotonic() > until:
                return CataloguePage(rows, looked_to, True)
        return CataloguePage(rows, None, False)


def _portions(
    con: Connection, workspace: Workspace, wanted: CatalogueFilter, after: tuple[str, int] | None, n: int
) -> Iterator[tuple[tuple[str, int], list[dict[str, Any]]]]:
    """Search in larger and larger portions; yield the last object searched and the rows that pass.

    The first portion skips the cheap conditions, which read more in a larger catalogue: it costs the same in any
    catalogue, and fills a page if one object in forty passes.
    """
    size, look = _GLANCE * n, wanted.radius is not None  # a cone rarely holds the first objects
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
    """Make the table `candidates` of the next ids that may pass; return the last id, and whether it is the end."""
    conditions = " AND ".join([seen.condition, *cheap])
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE candidates AS SELECT survey, object_id FROM objects {conditions} "
        "ORDER BY object_id LIMIT $size",
        {"size": size},
    )
    rows, last = first_row(con, "SELECT count(*), max(object_id) FROM temp.candidates") or (0, None)
    return last, rows < size


def _passing(con: Connection, seen: IdRange, wanted: CatalogueFilter, sparse: bool, n: int) -> list[dict[str, Any]]:
    """Read at most n rows of the catalogue that pass the filter."""
    condition = f"WHERE {wanted.where()}" if wanted.where() else ""
    with restricted_to(con, "candidates" if sparse else seen):
        text = query("inspection/browse_page").format(condition=condition)
        at = NOW if wanted.at is None else wanted.at
        return fetch_arrow(con, text, {"at": at, "n": n}).to_pylist()


def _cheap_conditions(workspace: Workspace, wanted: CatalogueFilter, seen: IdRange) -> list[str]:
    """Return necessary conditions for the filter that read one table each."""
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
