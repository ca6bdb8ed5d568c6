"""The workspace, stamps and templates that every page uses; templates escape all values."""

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
    environment.filters |= {
        "as_text": as_text, "decimals": decimals, "thousands": thousands, "utc_minute": utc_minute,
        "class_counts": class_counts,
    }  # fmt: skip
    environment.filters["same_pairs"] = lambda values: [(value, value) for value in values]  # options of a <select>
    return environment


@dataclass
class Site:
    """A served workspace, with what its pages need."""

    workspace: Workspace
    pictures: Pictures = field(init=False)
    templates: Environment = field(default_factory=_environment)

    def __post_init__(self) -> None:
        self.pictures = Pictures(self.workspace)

    def text(self, template: str, **values: Any) -> str:
        """Fill in a template."""
        shared = {"classes": self.workspace.config.classes, "version": __version__, "folder": self.workspace.path.name}
        return self.templates.get_template(template).render(shared | values)

    def page(self, template: str, status: int = 200, **values: Any) -> HTMLResponse:
        """Fill in a template, as a response."""
        return HTMLResponse(self.text(template, **values), status)


def site_of(request: Request) -> Site:
    """Return the site of a request."""
    site: Site = request.app.state.site
    return site


CurrentSite = Annotated[Site, Depends(site_of)]


def decimals(value: float | None, digits: int = 3) -> str:
    """Write a number with so many decimals."""
    return EMPTY if value is None or not math.isfinite(value) else f"{value:.{digits}f}"


def thousands(value: int | None) -> str:
    """Write a count with thousands separators."""
    return EMPTY if value is None else f"{value:,}"


def as_text(value: object) -> str:
    """Write a value of any column, floats with six digits."""
    if value is None:
        return EMPTY
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def utc_minute(value: datetime | None) -> str:
    """Write a time (UTC) to the minute."""
    return EMPTY if value is None else f"{value:%Y-%m-%d %H:%M}"


def class_counts(text: str | None) -> str:
    """Write counts by class, from the JSON of a step's details."""
    found: dict[str, int] = json.loads(text or "{}")
    return ", ".join(f"{n:,} {name}" for name, n in found.items()) or "nothing"
