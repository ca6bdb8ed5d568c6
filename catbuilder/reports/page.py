"""Write the report: one HTML page with the results of all rounds and checks of how reliable they are.

The file contains its figures and loads nothing, not even a script: it can be mailed, archived beside a catalogue, and
opened in twenty years. A sentence says what could not be shown, and which command would provide it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from catbuilder.catalogue.workspace import Workspace
from catbuilder.core.errors import InputError
from catbuilder.core.files import write_text
from catbuilder.core.paths import file_to_write, folder_to_write
from catbuilder.core.progress import Reporter
from catbuilder.core.version import __version__
from catbuilder.reports.accuracy import accuracy_section
from catbuilder.reports.checks import checks_section
from catbuilder.reports.data import ReportData, read_report_data
from catbuilder.reports.embedding import embedding_section
from catbuilder.reports.errors import errors_section
from catbuilder.reports.page_parts import Drawing, Paragraph, ReportSection, data_uri, write_figure
from catbuilder.reports.promotions import promotions_section
from catbuilder.reports.sky import photometry_section, sky_section
from catbuilder.reports.tables import (
    certificates_section,
    overview_section,
    provenance_section,
    rounds_section,
    shifts_section,
)

_WITHOUT_ROUNDS: tuple[Callable[[ReportData], ReportSection], ...] = (overview_section, provenance_section)
_WITH_ROUNDS: tuple[Callable[[ReportData], ReportSection], ...] = (
    overview_section, rounds_section, accuracy_section, errors_section, promotions_section, embedding_section,
    sky_section, photometry_section, checks_section, shifts_section, certificates_section, provenance_section,
)  # fmt: skip
_PX_AN_INCH = 118  # of a figure on a screen: 6.9 inches fill the text's width


@dataclass(frozen=True)
class ReportOutcome:
    """The report that was written.

    Attributes
    ----------
    file : Path
        The HTML file.
    figures : int
        Number of figures.
    missing : tuple[str, ...]
        Sentences on what could not be shown, and why.
    size : int
        Size of the file, bytes.
    """

    file: Path
    figures: int
    missing: tuple[str, ...]
    size: int


def report(
    workspace: Workspace,
    target: str | Path | None = None,
    *,
    at: int | None = None,
    figures: str | Path | None = None,
    reporter: Reporter | None = None,
) -> ReportOutcome:
    """Write the HTML report of the catalogue as of the end of a round.

    Parameters
    ----------
    workspace : Workspace
        Workspace that the call works on.
    target : str or Path, optional
        An HTML file; by default `reports/report-<round>.html` in the workspace.
    at : int, optional
        Number of the closed round; by default the last closed one. Without any, the report says what the catalogue
        holds and what to do next.
    figures : str or Path, optional
        A folder for each figure as PNG (300 dots an inch) and PDF; it is made. By default none are written.
    reporter : Reporter, optional
        Shows progress and messages; by default nothing is printed.

    Returns
    -------
    ReportOutcome
        The file and its size (bytes), the number of figures, and what could not be shown.

    Raises
    ------
    InputError
        The target's name does not end in .html, its folder does not exist, or `figures` is a file.
    RoundError
        There is no round `at`, or it is not closed.

    Examples
    --------
    >>> catbuilder.report(workspace, "report.html", at=3, figures="figures").file
    """
    target = None if target is None else _page_to_write(target)
    figures = None if figures is None else folder_to_write(figures)
    reporter = reporter or Reporter(quiet=True)
    data = read_report_data(workspace, at)
    file = target or workspace.path / "reports" / f"report-{data.at}.html"
    makers = _WITH_ROUNDS if data.rounds else _WITHOUT_ROUNDS
    with reporter.bar("measuring") as update:
        sections = []
        for done, make in enumerate(makers, start=1):
            sections.append(make(data))
            update(done, len(makers))
    parts = [part for section in sections for part in section.parts]
    drawings = [part for part in parts if isinstance(part, Drawing)]
    with reporter.bar("drawing") as update:
        pictures = {}
        for done, drawing in enumerate(drawings, start=1):
            pictures[drawing.name] = _picture(drawing)
            if figures is not None:
                write_figure(drawing, figures)
            update(done, len(drawings))
    write_text(file, _page(data, sections, pictures))
    said = tuple(part.text for part in parts if isinstance(part, Paragraph) and part.kind == "missing")
    return ReportOutcome(file, len(drawings), said, file.stat().st_size)


def _page_to_write(target: str | Path) -> Path:
    name = Path(target).name
    if name and not name.lower().endswith((".html", ".htm")):
        raise InputError(f"'{name}' is not a name for a report; end it in .html")
    return file_to_write(target)


def _picture(drawing: Drawing) -> dict[str, Any]:
    uri, inches = data_uri(drawing)
    kind = "photo" if drawing.format == "jpg" else "chart"
    return {"uri": uri, "kind": kind, "width": round(inches * _PX_AN_INCH)}


def _page(data: ReportData, sections: list[ReportSection], pictures: dict[str, dict[str, Any]]) -> str:
    environment = Environment(
        loader=PackageLoader("catbuilder.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html").render(
        name=data.workspace.path.name, at=data.at, sections=sections, pictures=pictures, version=__version__
    )  # fmt: skip
