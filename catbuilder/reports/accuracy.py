"""How well the network does on the fixed test sets: accuracy against coverage, ROC, reliability, confusion.

A gain from the first round to the latest is judged on the same galaxies: those that became right against those that
became wrong, by a sign test (McNemar 1947, exact), since two intervals of one set that overlap do not say that
nothing changed.
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
from catbuilder.reports.data import Scope
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

FEW_OBJECTS = 4  # classes: matrices of more are drawn larger, and their counts smaller
NO_TRUTH = (
    "No test set with truth has been scored, so there is nothing to measure the network by; declare one with: "
    "catbuilder testset HP --survey des --table T.csv, and run another round"
)


def accuracy_section(scope: Scope) -> ReportSection:
    """Accuracy against coverage before and after recursion (figure 6 of Khan et al. 2019), and what it gained."""
    return ReportSection("accuracy", "Accuracy against coverage", list(_accuracy(scope)))


def left_out_note(scope: Scope) -> str:
    """What is said of test galaxies that were trained on; nothing where there are none."""
    if not scope.trained_tests:
        return ""
    return (
        f"{scope.trained_tests:,} test galaxies are left out here, since a round has trained on them and nothing is "
        "measured on what was learned; declare test sets before the first round"
    )


def trained_on_warning(scope: Scope) -> list[Paragraph]:
    """Say how many test galaxies were trained on; nothing where there are none."""
    said = left_out_note(scope)
    return [Paragraph(said)] if said else []


def _accuracy(scope: Scope) -> Iterator[Part]:
    if not scope.curves.num_rows:
        yield missing_part(NO_TRUTH)
        return
    numbers = sorted(set(scope.curves["round"].to_pylist()))
    ends = sorted({numbers[0], numbers[-1]})
    curves = scope.curves.filter(pc.is_in(scope.curves["round"], pa.array(ends, pa.int32())))
    said = "; ".join(
        f"{row['test_set']} in {row['survey'].upper()}, round {row['round']}: {row['value']:.1%} of all {row['n']:,}"
        for row in curves.to_pylist()
        if row["coverage"] == 1
    )
    yield Drawing(
        "accuracy",
        "Accuracy of the surest objects of each test set, from few to all of them, "
        + f"after {' and '.join(f'round {number}' for number in ends)}, of all that each round scored: where the "
        "numbers in a title differ, the lines are not of the same galaxies. Bands are Wilson's 95 per cent intervals, "
        "point by point: the points of a line share their objects. A band that meets the lower edge goes on below it."
        + scope.known_by_heart,
        f"Accuracy against coverage, a panel a test set and survey. {said}.",
        partial(accuracy_figure, curves),
    )
    if len(ends) < 2:
        yield missing_part(
            f"There is one measured round, {ends[0]}: what recursion gains is seen after the next, catbuilder round"
        )
    else:
        yield from trained_on_warning(scope)
        yield _gains(scope)


def _gains(scope: Scope) -> ReportTable:
    first, last = scope.first_model, scope.model
    what = f"round {last}" if last == first + 1 else f"rounds {first + 1} to {last}"
    rows = []
    for test_set, survey in scored_sets(scope):
        before, after = (_right(scope.test_scores[n], test_set, survey) for n in (first, last))
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
        f"What {what} changed, on the galaxies that both models scored: accuracy in per cent "
        "with its 95 per cent interval, galaxies that became right and wrong, and the two-sided probability of so "
        "uneven a change by chance (sign test). It is about these networks on these galaxies; another seed differs "
        "too (catbuilder experiment recursion).",
        ("Test set", "Survey", "n", f"Round {first}", f"Round {last}", "Became right", "Became wrong", "Points", "p",
         "Resolved"),
        rows,
    )  # fmt: skip


def _percent(right: np.ndarray) -> str:
    found = proportion("accuracy", int(right.sum()), len(right), 1.0)
    return with_interval(found.value or 0.0, found.low or 0.0, found.high or 0.0)


def _right(scores: pa.Table, test_set: str, survey: str) -> dict[int, bool]:
    return {
        row["object_id"]: row["predicted_label"] == row["truth"]
        for row in set_members(scores, test_set, survey).to_pylist()
    }


def scored_sets(scope: Scope) -> list[tuple[str, str]]:
    """Test sets and surveys that the latest model has scored with truth."""
    scores = scope.test_scores.get(scope.model)
    if scores is None:
        return []
    return list(dict.fromkeys(zip(scores["test_set"].to_pylist(), scores["survey"].to_pylist(), strict=True)))


def set_members(scores: pa.Table, test_set: str, survey: str) -> pa.Table:
    """Select the scores of the members of one test set in one survey."""
    return scores.filter(pc.and_(pc.equal(scores["test_set"], test_set), pc.equal(scores["survey"], survey)))


def panel_figure(n: int, height: float, across: int = 4) -> tuple[Figure, list[Axes]]:
    """A figure with n panels, so many in a row at most, and nothing in the places that are left."""
    across = min(n, across)
    down = -(-n // across)
    figure = Figure(figsize=(min(PAGE_INCHES, 2.6 * across), height * down), layout="constrained")
    panels = list(figure.subplots(down, across, squeeze=False).flat)
    for unused in panels[n:]:
        unused.set_axis_off()
    return figure, panels[:n]


def shown_classes(classes: Sequence[str]) -> list[tuple[int, str]]:
    """One of two classes is enough: the other's curve is the same, turned round."""
    return list(enumerate(classes))[-1:] if len(classes) == 2 else list(enumerate(classes))
