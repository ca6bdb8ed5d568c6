"""The figure of accuracy against coverage: a panel for each test set and survey, a line for each round.

The colours of successive rounds go from dark to light, so that colour-blind readers and grey print can tell them apart;
markers separate lines that lie on one another. No display is needed.
"""

import math
from pathlib import Path
from textwrap import fill
from typing import Any

import numpy as np
import pyarrow as pa
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from catbuilder.core.errors import RoundError
from catbuilder.core.figure_files import save_figure
from catbuilder.core.paths import figure_to_write
from catbuilder.reports.figure_style import MARKERS, SEQUENCE

_PANEL_INCHES = 3.4, 2.8  # a column of most journals is about 3.4 inches wide
_TITLE_CHARACTERS = 44  # of a line above a panel


def draw_accuracy(curves: pa.Table, file: str | Path) -> None:
    """Draw accuracy against coverage, with 95 per cent intervals, as PNG, PDF or SVG.

    Parameters
    ----------
    curves : pyarrow.Table
        Table that `accuracy_curves` gives.
    file : str or Path
        File to write; its name ends in .png, .pdf or .svg.

    Raises
    ------
    InputError
        The file's name ends in none of .png, .pdf, .svg.
    RoundError
        No round has been measured on a test set.

    Examples
    --------
    >>> catbuilder.draw_accuracy(catbuilder.accuracy_curves(workspace), "accuracy.pdf")
    """
    file = figure_to_write(file)
    if not curves.num_rows:
        raise RoundError(
            "no test set with true classes has been measured, so there is no curve to draw; "
            "declare one with: catbuilder testset NAME --survey SURVEY --table T.csv, and run a round"
        )
    save_figure(accuracy_figure(curves), file)


def accuracy_figure(curves: pa.Table) -> Figure:
    """Make the figure that `draw_accuracy` writes, with colours from dark (the first round) to light (the last)."""
    rows = curves.to_pylist()
    sets = list(dict.fromkeys(row["test_set"] for row in rows))
    surveys = sorted({row["survey"] for row in rows})
    rounds = sorted({row["round"] for row in rows})
    colour_of = {number: SEQUENCE(place / max(1, len(rounds) - 1)) for place, number in enumerate(rounds)}
    width, height = _PANEL_INCHES
    figure = Figure(figsize=(width * len(surveys), height * len(sets)), layout="constrained")
    # one scale per test set, to compare the same galaxies in two surveys
    panels = figure.subplots(len(sets), len(surveys), sharex=True, sharey="row", squeeze=False)
    for test_set, of_set in zip(sets, panels, strict=True):
        of_set[0].set_ylim(*_limits([row for row in rows if row["test_set"] == test_set]))
        for survey, panel in zip(surveys, of_set, strict=True):
            here = [row for row in rows if (row["test_set"], row["survey"]) == (test_set, survey)]
            if not here:
                panel.set_axis_off()
                continue
            for number in rounds:
                # a set declared later lacks the first rounds
                if points := [row for row in here if row["round"] == number]:
                    _line(panel, points, number, rounds, colour_of[number])
            _describe(panel, f"{test_set}, {survey.upper()} {_scored(here)}", below=_runs_below(panel, here))
    lines = {line.get_label(): line for panel in panels.flat for line in panel.lines}
    legend = [lines[_name(number)] for number in rounds]
    figure.legend(handles=legend, loc="outside upper center", ncols=min(len(rounds), 6), fontsize=8)
    return figure


def _scored(rows: list[dict[str, Any]]) -> str:
    """Say how many objects the lines of a panel have: for each line, if the numbers differ."""
    most: dict[int, int] = {}
    for row in rows:
        most[row["round"]] = max(row["n"], most.get(row["round"], 0))
    if len(set(most.values())) == 1:
        return f"({max(most.values()):,} scored)"
    said = ", ".join(f"{n:,} in round {number}" for number, n in most.items())
    return "\n" + fill(f"scored: {said}", _TITLE_CHARACTERS)


def _runs_below(panel: Axes, rows: list[dict[str, Any]]) -> bool:
    return any(row["low"] < panel.get_ylim()[0] for row in rows)


def _name(number: int) -> str:
    return f"round {number}"


def _line(
    panel: Axes, points: list[dict[str, float]], number: int, rounds: list[int], colour: tuple[float, ...]
) -> None:
    place = rounds.index(number)
    coverage, value, low, high = (
        np.array([point[name] for point in points]) for name in ("coverage", "value", "low", "high")
    )
    panel.fill_between(coverage, low, high, color=colour, alpha=0.2 / math.sqrt(len(rounds)), linewidth=0)
    panel.plot(
        coverage, value, color=colour, marker=MARKERS[place % len(MARKERS)], markersize=3.5, linewidth=1.2,
        label=_name(number),
    )  # fmt: skip


def _limits(rows: list[dict[str, float]]) -> tuple[float, float]:
    """Give the limits of the accuracy axis, which show every value and the interval at full coverage.

    The few objects at the lowest coverages have intervals so wide that they would press all lines together; the label
    of the axis says where they continue below it.
    """
    least = min(row["low"] if row["coverage"] == 1 else row["value"] for row in rows)
    return least - 0.02 * (1 - least), 1 + 0.03 * (1 - least)


def _describe(panel: Axes, title: str, below: bool) -> None:
    panel.set_title(title, fontsize=9)
    panel.set_xlabel("coverage (share of scored, surest first)", fontsize=8)
    panel.set_ylabel("accuracy (95% interval" + (",\nwhich continues below the edge)" if below else ")"), fontsize=8)
    panel.set_xlim(0, 1.02)
    for axis in (panel.xaxis, panel.yaxis):
        axis.set_major_formatter(PercentFormatter(1.0))
    panel.tick_params(labelsize=8, labelbottom=True, labelleft=True)
    panel.grid(linewidth=0.6)
