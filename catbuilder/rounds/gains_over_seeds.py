"""Compare two states of the same seeds: accuracy against coverage, and the gain of each seed with its interval.

Networks of different seeds differ by more than promotion gains. So each seed is compared with itself, and the interval
is that of the differences (Student's t). It shows how far another seed may lie on the same test galaxies. Other
galaxies would add their own spread, which the intervals in the table `metrics` describe.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy import stats

from catbuilder.core.files import atomic_write

Array = npt.NDArray[np.float64]
Point = tuple[str, str, float]  # test set, survey, coverage

_LEVEL = 0.95
# Vermilion and blue of Okabe and Ito (2008): distinct for colour-blind readers too, and by lightness in a grey print.
_COLOURS = ("#D55E00", "#0072B2")
_LINES = ("--", "-")
_SUMMARISED = {0.5: "surest half", 1.0: "all"}  # coverages in the summary


@dataclass(frozen=True)
class PairedCurves:
    """Accuracy on a test set in one survey, in two states of the same seeds."""

    test_set: str
    survey: str
    coverage: Array  # (c,), rising
    first: Array  # (seeds, c), accuracy from 0 to 1
    second: Array  # (seeds, c)

    @property
    def gain(self) -> Array:
        """Second state minus the first, (seeds, c)."""
        return self.second - self.first


def paired_curves(seeds: Sequence[Mapping[Point, tuple[float, float]]]) -> list[PairedCurves]:
    """Combine the accuracies of all seeds, at the coverages at which each of them was measured.

    Parameters
    ----------
    seeds : for each seed the accuracies of the two states by test set, survey and coverage
    """
    common = sorted(set(seeds[0]).intersection(*seeds))
    curves = []
    for test_set, survey in sorted({point[:2] for point in common}):
        points = [point for point in common if point[:2] == (test_set, survey)]
        values = np.array([[seed[point] for point in points] for seed in seeds])
        coverage = np.array([coverage for _, _, coverage in points])
        curves.append(PairedCurves(test_set, survey, coverage, values[..., 0], values[..., 1]))
    return curves


def gain_interval(gain: Array) -> tuple[Array, Array, Array]:
    """Compute the mean of paired differences and its two-sided Student t interval at 95 per cent, each of shape (c,).

    Parameters
    ----------
    gain : float (seeds, c); with one seed the ends of the interval are NaN
    """
    n, mean = len(gain), gain.mean(axis=0)
    if n == 1:
        unknown = np.full_like(mean, np.nan)
        return mean, unknown, unknown
    half = stats.t.ppf((1 + _LEVEL) / 2, n - 1) * stats.sem(gain, axis=0)
    return mean, mean - half, mean + half


def curves_table(curves: Sequence[PairedCurves], states: tuple[str, str]) -> pa.Table:
    """Build a table with one row for each test set, survey and coverage.

    Accuracies are from 0 to 1. Spreads and intervals are NULL for one seed.

    Parameters
    ----------
    states : names of the two states: the columns are `<state>_mean`, `<state>_std` (of the sample, n - 1)
    """
    parts = []
    for curve in curves:
        n, points = curve.first.shape
        columns = {
            "test_set": pa.array([curve.test_set] * points),
            "survey": pa.array([curve.survey] * points),
            "coverage": pa.array(curve.coverage),
            "n_seeds": pa.array([n] * points, pa.int64()),
        }
        for state, accuracy in zip(states, (curve.first, curve.second), strict=True):
            columns[f"{state}_mean"] = pa.array(accuracy.mean(axis=0))
            columns[f"{state}_std"] = _known(_spread(accuracy))
        for end, value in zip(("mean", "low", "high"), gain_interval(curve.gain), strict=True):
            columns[f"gain_{end}"] = _known(value)
        parts.append(pa.table(columns))
    return pa.concat_tables(parts)


def summary_rows(table: pa.Table) -> pa.Table:
    """Select the rows at half and at full coverage, if these were measured."""
    return table.filter(pa.array([coverage in _SUMMARISED for coverage in table["coverage"].to_pylist()], pa.bool_()))


def write_table(table: pa.Table, path: Path) -> None:
    """Write a table as CSV atomically; NULL becomes an empty cell."""
    with atomic_write(path) as temporary:
        pa.csv.write_csv(table, temporary, pa.csv.WriteOptions(quoting_style="needed"))


def gain_sentences(table: pa.Table, states: tuple[str, str]) -> list[str]:
    """Describe the gains at half and at full coverage, and whether they are more than chance."""
    return [_sentence(row, *states) for row in summary_rows(table).to_pylist()]


def draw_curves(curves: Sequence[PairedCurves], states: tuple[str, str], path: Path) -> None:
    """Draw accuracy against coverage (figure 6 of Khan et al. 2019) and the gain, a column per test set and survey.

    Lines are means over the seeds. Bands are one standard deviation, for the gain its 95 per cent interval.
    """
    figure = Figure(figsize=(max(3.0 * len(curves), 4.0), 4.8), dpi=200, layout="constrained")
    axes = figure.subplots(2, len(curves), sharex=True, sharey="row", squeeze=False, height_ratios=(3, 2))
    for place, curve in enumerate(curves):
        _draw_accuracy(axes[0, place], curve, states)
        _draw_gain(axes[1, place], curve)
    seeds = len(curves[0].first)
    axes[0, 0].legend(frameon=False, fontsize="small", title=f"mean ± s.d. of {seeds} seeds" if seeds > 1 else "1 seed")
    if seeds > 1:
        axes[1, 0].legend(frameon=False, fontsize="small")
    axes[0, 0].set_ylabel("accuracy [%]")
    axes[1, 0].set_ylabel(f"gain: {states[1]} − {states[0]}\n[percentage points]")
    with atomic_write(path) as temporary:
        figure.savefig(temporary)


def _draw_accuracy(axes: Axes, curve: PairedCurves, states: tuple[str, str]) -> None:
    for state, accuracy, colour, line in zip(states, (curve.first, curve.second), _COLOURS, _LINES, strict=True):
        mean, spread = 100 * accuracy.mean(axis=0), 100 * _spread(accuracy)
        axes.plot(curve.coverage, mean, line, color=colour, label=state, marker="o", markersize=2.5)
        top = np.minimum(mean + spread, 100)
        axes.fill_between(curve.coverage, mean - spread, top, color=colour, alpha=0.2, linewidth=0)
    axes.set_title(f"{curve.test_set}, {curve.survey}", fontsize="medium")
    axes.grid(alpha=0.3)


def _draw_gain(axes: Axes, curve: PairedCurves) -> None:
    mean, low, high = (100 * value for value in gain_interval(curve.gain))
    axes.axhline(0, color="black", linewidth=0.8)
    axes.plot(curve.coverage, mean, color="black", marker="o", markersize=2.5)
    axes.fill_between(curve.coverage, low, high, color="black", alpha=0.2, linewidth=0, label="95 % interval")
    axes.set_xlabel("coverage (surest first)")
    axes.set_xlim(0, 1.02)
    axes.grid(alpha=0.3)


def _spread(accuracy: Array) -> Array:
    """Compute the standard deviation over the seeds (n - 1); NaN for one seed."""
    return accuracy.std(axis=0, ddof=1) if len(accuracy) > 1 else np.full(accuracy.shape[1], np.nan)


def _known(values: Array) -> pa.Array:
    return pa.array(values, from_pandas=True)  # NaN becomes NULL


def _sentence(row: dict[str, Any], first: str, second: str) -> str:
    what = f"{row['test_set']} of {row['survey']}, {_SUMMARISED[row['coverage']]}"
    both = f"{100 * row[f'{first}_mean']:.2f} % {first}, {100 * row[f'{second}_mean']:.2f} % {second}"
    gain, n = f"{100 * row['gain_mean']:+.2f} points", row["n_seeds"]
    if row["gain_low"] is None:
        return f"{what}: {both}; {gain}, but one seed gives no interval, so it may be chance."
    interval = f"{100 * row['gain_low']:+.2f} to {100 * row['gain_high']:+.2f} over {n} seeds"
    if row["gain_low"] == row["gain_high"] == 0:
        return f"{what}: {both}; equal in each of {n} seeds."
    if row["gain_low"] <= 0 <= row["gain_high"]:
        return f"{what}: {both}; the difference of {gain} is not resolved: its 95 % interval, {interval}, includes 0."
    return f"{what}: {both}; a {'gain' if row['gain_mean'] > 0 else 'loss'} of {gain} (95 % interval {interval})."
