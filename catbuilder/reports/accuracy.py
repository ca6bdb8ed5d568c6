"""The accuracy section of the report: accuracy against coverage on the fixed test sets, and its change over rounds.

The change from the first round to the latest is measured on the same galaxies: those that became right are compared
with those that became wrong by an exact sign test (McNemar 1947). Overlapping intervals of the two accuracies would not
mean that nothing changed.
"""

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.stats import binomtest

from catbuilder.decisions.measures import proportion
from catbuilder.reports.accuracy_figure import accuracy_figure
from catbuilder.reports.data import ReportData
from catbuilder.reports.figure_style import PAGE_INCHES
from catbuilder.reports.page_parts import (
    Drawing,
    Paragraph,
    Part,
    ReportSection,
    ReportTable,
    missing_part,
    with_interval,
)

FEW_CLASSES = 4  # confusion matrices of more classes are drawn larger, with smaller counts
NO_TRUTH = (
    "No test set with true classes has been scored, so the network cannot be measured; declare one with: "
    "catbuilder testset HP --survey des --table T.csv, and run another round"
)


def accuracy_section(data: ReportData) -> ReportSection:
    """Make the accuracy section: accuracy against coverage (figure 6 of Khan et al. 2019), and its change."""
    return ReportSection("accuracy", "Accuracy against coverage", list(_accuracy(data)))


def left_out_note(data: ReportData) -> str:
    """Say that test galaxies used in training are left out; an empty text if there are none."""
    if not data.trained_tests:
        return ""
    return (
        f"{data.trained_tests:,} test galaxies are left out here, since a round has trained on them; declare test "
        "sets before the first round"
    )


def trained_on_warning(data: ReportData) -> list[Paragraph]:
    """Make a paragraph on test galaxies that were trained on; an empty list if there are none."""
    said = left_out_note(data)
    return [Paragraph(said)] if said else []


def _accuracy(data: ReportData) -> Iterator[Part]:
    if not data.curves.num_rows:
        yield missing_part(NO_TRUTH)
        return
    numbers = sorted(set(data.curves["round"].to_pylist()))
    ends = sorted({numbers[0], numbers[-1]})
    curves = data.curves.filter(pc.is_in(data.curves["round"], pa.array(ends, pa.int32())))
    said = "; ".join(
        f"{row['test_set']} in {row['survey'].upper()}, round {row['round']}: {row['value']:.1%} of all {row['n']:,}"
        for row in curves.to_pylist()
        if row["coverage"] == 1
    )
    yield Drawing(
        "accuracy",
        "Accuracy of the most confident objects of each test set, from few to all of them, "
        + f"after {' and '.join(f'round {number}' for number in ends)}, of all objects that a round scored: where the "
        "numbers in a title differ, the lines are of different galaxies. Bands are Wilson's 95 per cent intervals "
        "for each point; the points of a line share objects. A band that meets the lower edge continues below it."
        + data.memorised_warning,
        f"Accuracy against coverage, a panel for each test set and survey. {said}.",
        partial(accuracy_figure, curves),
    )
    if len(ends) < 2:
        yield missing_part(
            f"There is one measured round, {ends[0]}: its change is shown after the next, catbuilder round"
        )
    else:
        yield from trained_on_warning(data)
        yield _changes(data)


def _changes(data: ReportData) -> ReportTable:
    first, last = data.first_model, data.model
    what = f"round {last}" if last == first + 1 else f"rounds {first + 1} to {last}"
    rows = []
    for test_set, survey in scored_sets(data):
        before, after = (_right(data.test_scores[n], test_set, survey) for n in (first, last))
        common = sorted(set(before) & set(after))
        if not common:
            continue
        was, now = (np.array([right[key] for key in common]) for right in (before, after))
        better, worse = int((now & ~was).sum()), int((was & ~now).sum())
        p = float(binomtest(better, better + worse).pvalue) if better + worse else 1.0
        rows.append(
            (test_set, survey.upper(), f"{len(common):,}", _percent(was), _percent(now), f"{better}", f"{worse}",
             f"{100 * (better - worse) / len(common):+.1f}", f"{p:.2g}", "yes" if p < 0.05 else "no")
        )  # fmt: skip
    return ReportTable(
        f"Change by {what}, on the galaxies that both models scored: accuracy in per cent with its 95 per cent "
        "interval, galaxies that became right and wrong, and the two-sided probability of such a change by chance "
        "(sign test). Another training alone may cause as much: what recursion gains is measured against a "
        "control of the same compute (catbuilder experiment recursion).",
        ("Test set", "Survey", "n", f"Round {first}", f"Round {last}", "Became right", "Became wrong", "Points", "p",
         "Significant"),
        rows,
    )  # fmt: skip


def _percent(right: np.ndarray) -> str:
    found = proportion("accuracy", int(right.sum()), len(right), 1.0)
    return with_interval(found.value or 0.0, found.low or 0.0, found.high or 0.0)


def _right(scores: pa.Table, test_set: str, survey: str) -> dict[int, bool]:
    return {
        row["object_id"]: row["predicted_label"] == row["truth"]
        for row in test_set_members(scores, test_set, survey).to_pylist()
    }


def scored_sets(data: ReportData) -> list[tuple[str, str]]:
    """List the test sets, with survey, whose members have a true class and a score of the latest model."""
    scores = data.test_scores.get(data.model)
    if scores is None:
        return []
    return list(dict.fromkeys(zip(scores["test_set"].to_pylist(), scores["survey"].to_pylist(), strict=True)))


def test_set_members(scores: pa.Table, test_set: str, survey: str) -> pa.Table:
    """Select the scores of the members of one test set in one survey."""
    return scores.filter(pc.and_(pc.equal(scores["test_set"], test_set), pc.equal(scores["survey"], survey)))


def panel_figure(n: int, height: float, across: int = 4) -> tuple[Figure, list[Axes]]:
    """Make a figure of n panels, at most `across` in a row."""
    across = min(n, across)
    down = -(-n // across)
    figure = Figure(figsize=(min(PAGE_INCHES, 2.6 * across), height * down), layout="constrained")
    panels = list(figure.subplots(down, across, squeeze=False).flat)
    for unused in panels[n:]:
        unused.set_axis_off()
    return figure, panels[:n]


def shown_classes(classes: Sequence[str]) -> list[tuple[int, str]]:
    """List the classes to draw, with their places: of two classes one, since the curve of the other mirrors it."""
    return list(enumerate(classes))[-1:] if len(classes) == 2 else list(enumerate(classes))
