"""What every page shares: the workspace, the stamps, and the templates, which escape whatever they are given."""

import json
import math
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined

from catbuilder.catalogue.workspace import Workspace
from catbuilder.core.version import __version__
from catbuilder.web.pictures import Pictures

EMPTY = "\N{EN DASH}"


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("catbuilder.web"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters |= {"plain": plain, "number": number, "whole": whole, "moment": moment, "counts": counts}
    environment.filters["zip_same"] = lambda values: [(value, value) for value in values]  # of a <select>
    return environment


@dataclass
class Site:
    """One served workspace."""

    workspace: Workspace
    pictures: Pictures = field(init=False)
    templates: Environment = field(default_factory=_environment)

    def __post_init__(self) -> None:
        self.pictures = Pictures(self.workspace)

    def text(self, template: str, **values: Any) -> str:
        """A template, filled in."""
        shared = {"classes": self.workspace.config.classes, "version": __version__, "folder": self.workspace.path.name}
        return self.templates.get_template(template).render(shared | values)

    def page(self, template: str, status: int = 200, **values: Any) -> HTMLResponse:
        """A template, filled in, as an answer."""
        return HTMLResponse(self.text(template, **values), status)


def site_of(request: Request) -> Site:
    """The site that a request is about."""
    site: Site = request.app.state.site
    return site


Here = Annotated[Site, Depends(site_of)]


def number(value: float | None, digits: int = 3) -> str:
    """A number with so many digits after the point."""
    return EMPTY if value is None or not math.isfinite(value) else f"{value:.{digits}f}"


def whole(value: int | None) -> str:
    """A count with its thousands told apart."""
    return EMPTY if value is None else f"{value:,}"


def plain(value: object) -> str:
    """A value of any column, as a person reads it."""
    if value is None:
        return EMPTY
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def moment(value: datetime | None) -> str:
    """A time to the minute (UTC)."""
    return EMPTY if value is None else f"{value:%Y-%m-%d %H:%M}"


def counts(text: str | None) -> str:
    """Counts by class, from the JSON of a step's details."""
    found: dict[str, int] = json.loads(text or "{}")
    return ", ".join(f"{n:,} {name}" for name, n in found.items()) or "nothing"
