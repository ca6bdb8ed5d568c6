"""The errors section of the report: ROC curves, reliability and confusion matrices of the latest model."""

import math
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import product
from typing import Any

import numpy as np
import pyarrow.compute as pc
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.metrics import roc_auc_score, roc_curve

from catbuilder.decisions.calibrator import ReliabilityBin, expected_calibration_error, reliability
from catbuilder.decisions.measures import proportion
from catbuilder.reports.accuracy import (
    FEW_CLASSES,
    NO_TRUTH,
    left_out_note,
    panel_figure,
    scored_sets,
    shown_classes,
    test_set_members,
    trained_on_warning,
)
from catbuilder.reports.data import ReportData
from catbuilder.reports.figure_style import (
    INK,
    LINES,
    PAGE_INCHES,
    PAPER,
    SEQUENCE,
    SHADES,
    class_colour,
    error_bars,
    legend_columns,
)
from catbuilder.reports.page_parts import Drawing, Part, ReportSection, ReportTable, missing_part


def errors_section(data: ReportData) -> ReportSection:
    """Make the errors section: ROC, reliability and confusion of the latest model."""
    parts: list[Part] = []
    if not scored_sets(data):
        parts.append(missing_part(left_out_note(data) or NO_TRUTH))
    else:
        parts += [*trained_on_warning(data), *_roc(data), _reliability(data), _confusion(data)]
    return ReportSection("errors", "Errors and calibration", parts)


def _roc(data: ReportData) -> Iterator[Part]:
    scores, curves = data.test_scores[data.model], []
    for test_set, survey in scored_sets(data):
        members = test_set_members(scores, test_set, survey)
        truth = np.array(members["truth"].to_pylist(), dtype=object)
        for number, name in shown_classes(data.classes):
            is_class = truth == name
            if 0 < is_class.sum() < len(truth):
                posterior = members[f"p_{name}"].to_numpy()
                rates = roc_curve(is_class, posterior)[:2]
                curves.append((test_set, survey, number, name, rates, float(roc_auc_score(is_class, posterior))))
    if not curves:
        yield missing_part("No ROC curve: no test set has galaxies of two classes; declare one with both")
        return
    said = "; ".join(f"{s} {v.upper()} {name} {auc:.3f}" for s, v, _, name, _, auc in curves)
    what = (
        f"{data.classes[-1]} against {data.classes[0]}" if len(data.classes) == 2 else "each class against all others"
    )
    two = len(data.classes) == 2
    yield Drawing(
        "roc",
        f"Receiver operating characteristic of round {data.model}, {what}. The false positive rate is logarithmic "
        "above 0.01 and linear below, since a catalogue needs it low."
        + (" The area under the curve is in brackets." if two else ""),
        f"ROC curves; area under each: {said}.",
        partial(_draw_roc, curves=curves, classes=len(data.classes)),
    )
    if not two:
        yield _areas(curves, data.classes)


def _draw_roc(curves: Sequence[Any], classes: int) -> Figure:
    figure, panels = _roc_of_two(curves) if classes == 2 else _roc_of_many(curves, classes)
    # nothing is drawn below the first step of the lowest curve
    firsts = [float(rates[1][rates[0] == 0].max()) for *_, rates, _ in curves]
    lowest = max(0.0, math.floor(10 * min(firsts) - 0.5) / 10)
    for panel in panels:
        panel.set_xscale("symlog", linthresh=0.01)
        panel.set_xticks([0, 0.01, 0.1, 1], ["0", "0.01", "0.1", "1"])
        panel.set(xlim=(0, 1), ylim=(lowest, 1.01), xlabel="false positive rate", ylabel="true positive rate")
        panel.grid()
    return figure


def _roc_of_two(curves: Sequence[Any]) -> tuple[Figure, list[Axes]]:
    """Draw one panel with a line for each test set and survey."""
    figure, panels = panel_figure(1, 3.0)
    figure.set_figwidth(4.4)
    for place, (test_set, survey, _, _, rates, auc) in enumerate(curves):
        colour, line = SEQUENCE(place / max(1, len(curves) - 1)), LINES[place % len(LINES)]
        label = f"{test_set} {survey.upper()} ({auc:.3f})"
        panels[0].plot(*rates, color=colour, linestyle=line, drawstyle="steps-post", label=label)
    panels[0].legend(loc="lower right")
    return figure, panels


def _roc_of_many(curves: Sequence[Any], classes: int) -> tuple[Figure, list[Axes]]:
    """Draw a panel for each test set and survey with a line for each class."""
    sets = list(dict.fromkeys(curve[:2] for curve in curves))
    figure, panels = panel_figure(len(sets), 2.8, across=2)
    figure.set_figwidth(PAGE_INCHES)
    for panel, key in zip(panels, sets, strict=True):
        for test_set, survey, number, name, rates, _ in curves:
            if (test_set, survey) == key:
                panel.plot(*rates, color=class_colour(number, classes), linestyle=LINES[number % len(LINES)],
                           label=name, linewidth=1.1)  # fmt: skip
        panel.set_title(f"{key[0]}, {key[1].upper()}")
    lines = {str(line.get_label()): line for panel in panels for line in panel.lines}
    if len(sets) == 1:
        figure.legend(handles=lines.values(), loc="outside right upper", handlelength=3)
    else:
        figure.legend(handles=lines.values(), loc="outside lower center", ncols=legend_columns(list(lines)),
                      handlelength=3)  # fmt: skip
    return figure, panels


def _areas(curves: Sequence[Any], classes: Sequence[str]) -> ReportTable:
    """List the areas under the curves of many classes, for which the legend has no room."""
    areas = {(test_set, survey, name): f"{auc:.3f}" for test_set, survey, _, name, _, auc in curves}
    sets = list(dict.fromkeys(curve[:2] for curve in curves))
    return ReportTable(
        "Area under the ROC curve of each class against all others.",
        ("Class", *(f"{test_set} {survey.upper()}" for test_set, survey in sets)),
        [(name, *(areas.get((*key, name), "") for key in sets)) for name in classes],
    )


def _reliability(data: ReportData) -> Part:
    """Compare raw and calibrated confidence with accuracy, on objects that the calibrator has not seen."""
    panels: list[tuple[str, dict[str, list[ReliabilityBin]], dict[str, float]]] = []
    for test_set, survey in scored_sets(data):
        members = test_set_members(data.test_scores[data.model], test_set, survey)
        right = np.asarray(pc.equal(members["predicted_label"], members["truth"]).to_numpy(), bool)
        bins, errors = {}, {}
        for kind, column in (("raw", "predicted_confidence"), ("calibrated", "calibrated_confidence")):
            confidence = members[column].to_numpy().astype(float)
            if np.isfinite(confidence).all():
                bins[kind] = reliability(confidence, right, 8)
                errors[kind] = expected_calibration_error(confidence, right, 8)
        if bins:
            panels.append((f"{test_set}, {survey.upper()} ({len(right):,})", bins, errors))
    if not panels:
        return missing_part("No reliability curve: the scores of the test sets are not finite")
    calibrated = any("calibrated" in errors for _, _, errors in panels)
    said = "; ".join(f"{title}: " + ", ".join(f"{k} {e:.3f}" for k, e in errors.items()) for title, _, errors in panels)
    return Drawing(
        "reliability",
        "Accuracy against confidence in eight bins of equal numbers, with Wilson's 95 per cent intervals; on the "
        "diagonal a confidence of 0.9 is right nine times out of ten. Above each panel: the number of galaxies and "
        "the expected calibration error. "
        + (f"Calibrated on {data.target.upper()}, so it may not hold in other surveys." if calibrated
           else "There is no calibrated confidence: it needs labelled galaxies ingested with --split calibration."),
        f"Reliability curves; expected calibration error by set: {said}.",
        partial(_draw_reliability, sets=panels),
    )  # fmt: skip


def _draw_reliability(sets: Sequence[Any]) -> Figure:
    figure, panels = panel_figure(len(sets), 2.2)
    every = [part for _, bins, _ in sets for parts in bins.values() for part in parts]
    low = min(part.low for part in every)
    lowest = min(proportion("reliability", part.right, part.n, 1.0).low or 0.0 for part in every)
    for panel, (title, bins, errors) in zip(panels, sets, strict=True):
        panel.plot([0, 1], [0, 1], color=INK, linewidth=0.6, linestyle=":")
        for place, (kind, parts) in enumerate(bins.items()):
            middle = [(part.low + part.high) / 2 for part in parts]
            found = [proportion("reliability", part.right, part.n, 1.0) for part in parts]
            # filled markers of calibrated confidence fit into the hollow raw ones if the temperature is near 1
            panel.errorbar(middle, *error_bars(found), color=class_colour(place, 2), marker="os"[place],
                           markersize=(5.5, 3)[place], markerfacecolor=("none", None)[place], linewidth=0.9,
                           elinewidth=0.6, linestyle=LINES[place], label=kind)  # fmt: skip
        panel.set(
            xlabel="confidence",
            ylabel="accuracy",
            xlim=(low - 0.02, 1.02),
            ylim=(max(0, lowest - 0.05), 1.03),
        )
        said = ", ".join(f"{kind} {error:.3f}" for kind, error in errors.items())
        panel.set_title(f"{title}\n{said}", fontsize=6.5)
        panel.grid()
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2)
    return figure


def _confusion(data: ReportData) -> Part:
    matrices = []
    for test_set, survey in scored_sets(data):
        members = test_set_members(data.test_scores[data.model], test_set, survey)
        counts = np.zeros((len(data.classes),) * 2, int)
        for truth, predicted in zip(members["truth"].to_pylist(), members["predicted_label"].to_pylist(), strict=True):
            counts[data.classes.index(truth), data.classes.index(predicted)] += 1
        matrices.append((f"{test_set}, {survey.upper()} ({members.num_rows:,})", counts))
    said = "; ".join(f"{title}: {int(np.trace(counts))} right" for title, counts in matrices)
    return Drawing(
        "confusion",
        "True class against predicted class, counts; shaded by the share of the true class, from none to all of it."
        + (" Empty fields are zero." if len(data.classes) > FEW_CLASSES else ""),
        f"Confusion matrices. {said}.",
        partial(_draw_confusion, matrices=matrices, classes=data.classes),
    )


def _draw_confusion(matrices: Sequence[tuple[str, np.ndarray]], classes: Sequence[str]) -> Figure:
    large = len(classes) > FEW_CLASSES
    across = min(2 if large else 4, len(matrices))
    down = -(-len(matrices) // across)
    # a single matrix of many classes is only as large as its counts need
    width = PAGE_INCHES * (0.75 if large and across == 1 else across / (2 if large else 4))
    height = (4.6 if across == 1 else 3.3) if large else 2.0
    figure = Figure(figsize=(width, height * down), layout="constrained")
    panels = list(figure.subplots(down, across, squeeze=False, sharey=large).flat)
    for panel in panels[len(matrices) :]:
        panel.set_axis_off()
    numbers = range(len(classes))
    for panel, (title, counts) in zip(panels, matrices, strict=False):
        share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
        panel.imshow(share, cmap=SHADES, vmin=0, vmax=1)
        for i, j in product(numbers, numbers):
            # white text on full shades
            colour = PAPER if share[i, j] > 0.5 else INK
            said = "" if large and not counts[i, j] else f"{counts[i, j]:,}"
            panel.text(j, i, said, ha="center", va="center", fontsize=6 if large else 8, color=colour)
        panel.set_xticks(numbers, classes, rotation=45 if large else 0, ha="right" if large else "center")
        panel.set_yticks(numbers, classes, rotation=0 if large else 90, va="center")
        panel.set(title=title, xlabel="predicted")
        panel.tick_params(length=0, labelsize=6.5 if large else 7)
    for panel in panels[::across]:
        panel.set_ylabel("true")
    return figure
