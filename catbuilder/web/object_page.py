"""The page of one object: its stamps, label and events, similar objects, and all catalogue values."""

from dataclasses import dataclass
from threading import BoundedSemaphore
from typing import Any

from fastapi import APIRouter
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from catbuilder.catalogue.connection import fetch_arrow
from catbuilder.catalogue.schema import data_dictionary
from catbuilder.core.errors import NothingToScore, RoundError, WorkspaceBusy
from catbuilder.core.resources import query
from catbuilder.inspection.similar import similar
from catbuilder.inspection.why import why
from catbuilder.web.child_process import limited_slot
from catbuilder.web.site import CurrentSite, Site

router = APIRouter()

_ALIKE = 20  # neighbours shown
_one_at_a_time = BoundedSemaphore(1)  # every object page searches, and each search may load a network
_KEPT_S = 3600  # for which a browser caches a stamp, for going back and forth in a list


@dataclass(frozen=True)
class ObjectFact:
    """A value of the object's row in `catalog`, with the unit and description of its column."""

    name: str
    value: object
    unit: str
    meaning: str


@router.get("/objects/{survey}/{object_id}")
def one_object(survey: str, object_id: str, site: CurrentSite) -> Response:
    """Show the page of an object."""
    story = why(site.workspace, object_id, survey)
    now = story.now
    with site.workspace.reading() as con:
        key = {"survey": now["survey"], "object_id": now["object_id"]}
        others = fetch_arrow(con, query("web/counterparts"), key).to_pylist()
        columns = {column.name: column for column in data_dictionary(con, "catalog")}
    facts = [
        ObjectFact(name, value, columns[name].unit, columns[name].description)
        for name, value in now.items()
        if value is not None and name not in ("survey", "object_id")
    ]
    return site.page("object.html", now=now, facts=facts, events=story.events, stamps=_stamps(site, now, others))


@router.get("/objects/{survey}/{object_id}/similar")
def similar_objects(survey: str, object_id: str, site: CurrentSite) -> Response:
    """Show the part of the page with similar objects, or say why there are none."""
    try:
        with limited_slot(_one_at_a_time, "another search for similar objects is running"):
            found = similar(site.workspace, object_id, _ALIKE, survey=survey)
    except (RoundError, NothingToScore, WorkspaceBusy) as error:
        said, status = str(error), 503 if isinstance(error, WorkspaceBusy) else 200
        return site.page("similar.html", status, neighbours=[], complaint=f"{said[:1].upper()}{said[1:]}.")
    places = site.pictures.look_up([(one.survey, one.object_id) for one in found.neighbours])
    shown = [(one, None not in places.get((one.survey, one.object_id), (None,))) for one in found.neighbours]
    return site.page("similar.html", neighbours=shown, complaint=None)


@router.get("/stamps/{survey}/{object_id}.png")
def stamp(survey: str, object_id: int, site: CurrentSite) -> Response:
    """Send a stamp as PNG in its stored pixels."""
    png = site.pictures.png(survey, object_id) if -(2**63) <= object_id < 2**63 else None
    if png is None:
        raise HTTPException(404)
    return Response(png, media_type="image/png", headers={"Cache-Control": f"private, max-age={_KEPT_S}"})


def _stamps(site: Site, now: dict[str, Any], others: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """List the object and its counterparts, and whether each has a stamp."""
    own = {"survey": now["survey"], "object_id": now["object_id"], "separation_arcsec": None}
    return [one | {"has_stamp": site.pictures.has(one["survey"], one["object_id"])} for one in [own, *others]]
