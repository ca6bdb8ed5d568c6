"""The catalogue page: objects in pages of fifty, with a form to filter them."""

import re
from collections.abc import Mapping
from typing import Any, get_args
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response
from pydantic import ValidationError

from catbuilder.catalogue.latest_round_and_run import last_round
from catbuilder.core.errors import InputError
from catbuilder.inspection.browse import NONE, CatalogueFilter, Domain, Source, read_page
from catbuilder.inspection.counts import count_objects
from catbuilder.inspection.why import find_object
from catbuilder.web.child_process import in_own_process
from catbuilder.web.site import CurrentSite, Site

router = APIRouter()

DOMAINS, SOURCES = get_args(Domain), get_args(Source)


@router.get("/")
def catalogue(request: Request, site: CurrentSite) -> Response:
    """Show the objects that meet the filter, with their stamps."""
    given = dict(request.query_params)
    try:
        wanted, after = filter_of(given), _after(given)
    except InputError as error:
        return _shown(site, given, CatalogueFilter(), status=400, complaint=str(error))
    found = read_page(site.workspace, wanted, after)
    for row in found.rows:
        row["has_stamp"] = site.pictures.remember(row["survey"], row["object_id"], row["shard"], row["row"])
    counted = None
    if given.get("count"):
        counts = in_own_process(count_objects, site.workspace, ["survey"], at=wanted.at, where=wanted.where() or None)
        counted = sum(counts["objects"].to_pylist())
    return _shown(site, given, wanted, rows=found.rows, further=found.further, out_of_time=found.out_of_time,
                  counted=counted, begins=after is not None)  # fmt: skip


@router.get("/find")
def find(site: CurrentSite, id: str = "", survey: str = "") -> Response:
    """Redirect to the page of an object with this id, in any survey."""
    with site.workspace.reading() as con:
        where, object_id = find_object(con, id, survey or None)
    return RedirectResponse(f"/objects/{where}/{object_id}", status_code=303)


def filter_of(given: Mapping[str, Any]) -> CatalogueFilter:
    """Read the filter from the fields of the form.

    Raises
    ------
    InputError
        A field is invalid; the message names the first.
    """
    try:
        return CatalogueFilter.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        field = CatalogueFilter.model_fields.get(str(first["loc"][0])) if first["loc"] else None
        said = str(first["msg"]).removeprefix("Value error, ").removeprefix("Input ")
        raise InputError(f"{field.title} {said}" if field else f"{said[:1].upper()}{said[1:]}") from None


def _after(given: Mapping[str, str]) -> tuple[str, int] | None:
    survey, _, number = given.get("after", "").rpartition(":")
    if not survey:
        return None
    if (
        re.fullmatch(r"-?\d{1,19}", number) and abs(int(number)) < 2**63 - 1
    ):  # the id after it must also fit into 64 bits
        return survey, int(number)
    raise InputError("the address has no valid object to continue after; begin with the first page")


def _shown(site: Site, given: Mapping[str, str], wanted: CatalogueFilter, status: int = 200, **found: Any) -> Response:
    asked = wanted.model_dump(exclude_none=True)
    asked.pop("band", None) if wanted.brightest is None and wanted.faintest is None else None
    with site.workspace.reading() as con:
        rounds = last_round(con)
    values: dict[str, Any] = {
        "rows": [], "further": None, "out_of_time": False, "counted": None, "begins": False, "complaint": None,
        "given": dict.fromkeys(CatalogueFilter.model_fields, "") | dict(given), "asked": asked,
        "query": urlencode(asked), "where": wanted.where(), "at": wanted.at,
        "rounds": range(1, rounds + 1), "surveys": sorted(site.workspace.config.surveys), "domains": DOMAINS,
        "sources": SOURCES, "none": NONE, "kinds": ("fits", "vot", "parquet", "csv"),
    }  # fmt: skip
    return site.page("catalogue.html", status, **values | found)
