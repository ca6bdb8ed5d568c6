"""The parts of a report's page: sections of figures, tables and paragraphs; and figures as files."""

import base64
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from matplotlib import rc_context
from matplotlib.figure import Figure

from catbuilder.core.files import atomic_write
from catbuilder.reports.figure_style import PAPER, figure_settings

_SCREEN_DPI = 200
_PRINT_DPI = 300


@dataclass(frozen=True)
class Drawing:
    """A figure, still to be drawn, with its caption."""

    name: str  # of its files
    caption: str
    alt: str  # text in place of the figure, for readers who cannot see it
    draw: Callable[[], Figure]
    format: Literal["svg", "png", "jpg"] = "svg"  # svg for lines, png for many points, jpg for stamps
    kind: str = field(default="figure", init=False)


@dataclass(frozen=True)
class ReportTable:
    """Rows of text under column headings."""

    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    kind: str = field(default="table", init=False)

    @property
    def numbers(self) -> list[bool]:
        """Whether each column holds numbers, which are aligned right."""
        return [all(_is_number(row[place]) for row in self.rows if row[place]) for place in range(len(self.columns))]


@dataclass(frozen=True)
class Paragraph:
    """A paragraph or a list. One of the kind `missing` says why something is not shown, and what would bring it."""

    text: str = ""
    items: Sequence[str] = ()
    kind: Literal["words", "missing", "verbatim"] = "words"


Part = Drawing | ReportTable | Paragraph


@dataclass(frozen=True)
class ReportSection:
    """A chapter of the report."""

    name: str  # in links
    title: str
    parts: Sequence[Part]


def missing_part(text: str) -> Paragraph:
    """Say why something is not shown."""
    return Paragraph(text, kind="missing")


def with_interval(value: float, low: float, high: float, signed: bool = False) -> str:
    """Write a proportion in per cent, or a difference of two in percentage points, with its interval."""
    sign = "+" if signed else ""
    return f"{100 * value:{sign}.1f} [{100 * low:{sign}.1f}, {100 * high:{sign}.1f}]"


def data_uri(drawing: Drawing) -> tuple[str, float]:
    """Draw the figure on a transparent ground; return it as a data URI, and its width in inches."""
    with rc_context(figure_settings("none")):
        figure, buffer = drawing.draw(), io.BytesIO()
        figure.savefig(buffer, format=drawing.format, dpi=_SCREEN_DPI, **_file_options(drawing.format))
    media = {"svg": "image/svg+xml", "png": "image/png", "jpg": "image/jpeg"}[drawing.format]
    return f"data:{media};base64,{base64.b64encode(buffer.getvalue()).decode()}", float(figure.get_figwidth())


def write_figure(drawing: Drawing, folder: Path) -> None:
    """Write the figure as PNG and PDF on white paper, for a publication or slides."""
    with rc_context(figure_settings(PAPER)):
        figure = drawing.draw()
        for suffix in ("png", "pdf"):
            with atomic_write(folder / f"{drawing.name}.{suffix}") as temporary:
                figure.savefig(temporary, dpi=_PRINT_DPI, **_file_options(suffix))


def _is_number(cell: str) -> bool:
    """Whether a cell begins with a digit and has no word in it; an interval is a number too."""
    return cell.lstrip("+-−")[:1].isdigit() and not any(letter.isalpha() for letter in cell)


def _file_options(suffix: str) -> dict[str, Any]:
    """Leave out the date and random names, so that the same catalogue gives the same file."""
    options: dict[str, dict[str, Any]] = {
        "svg": {"metadata": {"Date": None}},
        "pdf": {"metadata": {"CreationDate": None}},
        "jpg": {"pil_kwargs": {"quality": 88}},
    }
    return options.get(suffix, {})
