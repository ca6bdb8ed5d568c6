"""Compare two states of the same seeds: accuracy against coverage, and the gain of each seed with its interval.

Networks of different seeds differ by more than promotion gains. So each seed is compared with itself, and the interval
is that of the differences (Student's t). In one workspace it shows how far another seed may lie on the same test
galaxies. Other galaxies would add their own spread, which the intervals in the table `metrics` describe; for that,
run several workspaces. Seeds of one workspace share its galaxies, so the means of the workspaces give an interval of
their own.
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
from catbuilder.core.safe_text import counted

Array = npt.NDArray[np.float64]
Point = tuple[str, str, str, float]  # test set, survey, measure (accuracy or auc), coverage
Measured = Mapping[Point, tuple[float, float]]  # after the first round and after the last, from 0 to 1

_LEVEL = 0.95
# Vermilion and blue of Okabe and Ito (2008): distinct for colour-blind readers too, and by lightness in a grey print.
_COLOURS = ("#D55E00", "#0072B2")
_LINES = ("--", "-")
_SUMMARISED = {0.5: "surest half", 1.0: "all"}  # coverages in the summary
_OF_SUMMARY = ("arm", "test_set", "survey", "measure", "coverage", "n_pairs")  # and the means and the gain


@dataclass(frozen=True)
class Pair:
    """The measures of two runs that differ in one thing alone, such as an arm and its control of the same seed."""

    workspace: str
    first: Measured
    second: Measured


@dataclass(frozen=True)
class PairedCurves:
    """A measure on a test set in one survey, of the two states of each pair after their last round."""

    test_set: str
    survey: str
    measure: str
    coverage: Array  # (c,), rising
    workspaces: tuple[str, ...]  # of each pair
    first: Array  # (pairs, c), from 0 to 1
    second: Array  # (pairs, c)
    first_change: Array  # (pairs, c), since the first round
    second_change: Array  # (pairs, c)

    @property
    def gain(self) -> Array:
        """Second state minus the first, (pairs, c)."""
        return self.second - self.first

    @property
    def gain_by_workspace(self) -> Array:
        """Mean gain of each workspace, (workspaces, c)."""
        places = np.array(self.workspaces)
        return np.array([self.gain[places == place].mean(axis=0) for place in sorted(set(self.workspaces))])


def paired_curves(pairs: Sequence[Pair]) -> list[PairedCurves]:
    """Combine the measures of all pairs; in each test set, at the coverages that every pair with that set has."""
    points = [pair.first.keys() & pair.second.keys() for pair in pairs]
    curves = []
    for key in sorted({point[:3] for each in points for point in each}, key=lambda key: (key[2], *key[:2])):
        with_it = [n for n, each in enumerate(points) if any(point[:3] == key for point in each)]
        common = set.intersection(*({p for p in points[n] if p[:3] == key} for n in with_it))
        values = np.array(
            [[(*pairs[n].first[point], *pairs[n].second[point]) for point in sorted(common)] for n in with_it]
        ).reshape(len(with_it), len(common), 4)
        before, first, second_before, second = np.moveaxis(values, -1, 0)
        curves.append(
            PairedCurves(
                *key, np.array([point[3] for point in sorted(common)]), tuple(pairs[n].workspace for n in with_it),
                first, second, first - before, second - second_before,
            )
        )  # fmt: skip
    return [curve for curve in curves if len(curve.coverage)]


def gain_interval(gain: Array) -> tuple[Array, Array, Array]:
    """Compute the mean of paired differences and its two-sided Student t interval at 95 per cent, each of shape (c,).

    Parameters
    ----------
    gain : float (pairs, c); with one pair the ends of the interval are NaN
    """
    n, mean = len(gain), gain.mean(axis=0)
    if n == 1:
        unknown = np.full_like(mean, np.nan)
        return mean, unknown, unknown
    half = stats.t.ppf((1 + _LEVEL) / 2, n - 1) * stats.sem(gain, axis=0)
    return mean, mean - half, mean + half


def curves_table(curves: Sequence[PairedCurves], states: tuple[str, str]) -> pa.Table:
    """Build a table with one row for each test set, survey, measure and coverage.

    Measures are from 0 to 1. `gain_low` and `gain_high` are the interval over pairs, `workspaces_low` and
    `workspaces_high` that over the mean gains of the workspaces. Spreads and intervals are NULL for one pair, those of
    the workspaces for one workspace.

    Parameters
    ----------
    states : names of the two states: the columns are `<state>_mean`, `<state>_std` (of the sample, n - 1), and
        `<state>_change_mean`, `_low`, `_high` for the change since the first round
    """
    parts = []
    for curve in curves:
        n, points = curve.first.shape
        columns = {
            "test_set": pa.array([curve.test_set] * points),
            "survey": pa.array([curve.survey] * points),
            "measure": pa.array([curve.measure] * points),
            "coverage": pa.array(curve.coverage),
            "n_pairs": pa.array([n] * points, pa.int64()),
            "n_workspaces": pa.array([len(set(curve.workspaces))] * points, pa.int64()),
        }
        for state, value in zip(states, (curve.first, curve.second), strict=True):
            columns[f"{state}_mean"] = pa.array(value.mean(axis=0))
            columns[f"{state}_std"] = _known(_spread(value))
        columns |= _interval("gain", curve.gain)
        _, columns["workspaces_low"], columns["workspaces_high"] = _interval("", curve.gain_by_workspace).values()
        for state, change in zip(states, (curve.first_change, curve.second_change), strict=True):
            columns |= _interval(f"{state}_change", change)
        parts.append(pa.table(columns))
    return pa.concat_tables(parts)


def summary_rows(table: pa.Table) -> pa.Table:
    """Select the rows at half and at full coverage, if these were measured, and the columns that matter most."""
    rows = table.filter(pa.array([coverage in _SUMMARISED for coverage in table["coverage"].to_pylist()], pa.bool_()))
    names = [name for name in rows.column_names if name.endswith("_mean") and not name.endswith("_change_mean")]
    return rows.select([*(name for name in _OF_SUMMARY if name in rows.column_names), *names, "gain_low", "gain_high"])


def write_table(table: pa.Table, path: Path) -> None:
    """Write a table as CSV atomically; NULL becomes an empty cell."""
    with atomic_write(path) as temporary:
        pa.csv.write_csv(table, temporary, pa.csv.WriteOptions(quoting_style="needed"))


def gain_sentences(table: pa.Table, states: tuple[str, str], names: tuple[str, str] | None = None) -> list[str]:
    """Describe the gains in accuracy at half and at full coverage, and whether they are more than chance.

    Parameters
    ----------
    states : as in the table's columns
    names : what to call them, if otherwise
    """
    return [_gain_sentence(row, states, names or states) for row in _accuracy_rows(table)]


def change_sentences(table: pa.Table, states: tuple[str, str], names: tuple[str, str]) -> list[str]:
    """Describe how much the states changed since the first round, at full coverage; this is no gain."""
    return [_change_sentence(row, states, names) for row in _accuracy_rows(table) if row["coverage"] == 1]


def draw_curves(groups: Sequence[tuple[Sequence[PairedCurves], tuple[str, str]]], path: Path) -> None:
    """Draw accuracy against coverage (figure 6 of Khan et al. 2019) and the gain, a column per test set and survey.

    Lines are means over the pairs. Bands are one standard deviation, for the gain its 95 per cent interval.

    Parameters
    ----------
    groups : curves, and the names of their two states; each group has two rows of panels
    """
    drawn = [
        ({(c.test_set, c.survey): c for c in curves if c.measure == "accuracy"}, names) for curves, names in groups
    ]
    places = sorted({place for curves, _ in drawn for place in curves})
    figure = Figure(figsize=(max(3.0 * len(places), 4.0), 4.8 * len(drawn)), dpi=200, layout="constrained")
    axes = figure.subplots(
        2 * len(drawn), len(places), sharex=True, sharey="row", squeeze=False, height_ratios=(3, 2) * len(drawn)
    )
    for row, (curves, names) in enumerate(drawn):
        upper, lower = axes[2 * row], axes[2 * row + 1]
        for column, place in enumerate(places):
            if place in curves:
                _draw_accuracy(upper[column], curves[place], names)
                _draw_gain(lower[column], curves[place])
        pairs = max(len(curve.first) for curve in curves.values())
        title = f"mean ± s.d. of {pairs} pairs" if pairs > 1 else "1 pair"
        _legend(upper, title)
        if pairs > 1:
            _legend(lower, "")
        upper[0].set_ylabel("accuracy [%]")
        lower[0].set_ylabel(f"gain over {names[0]}\n[percentage points]")
    for last in axes[-1]:
        last.set_xlabel("coverage (surest first)")
    with atomic_write(path) as temporary:
        figure.savefig(temporary)


def _legend(row: Sequence[Axes], title: str) -> None:
    axes = next(axes for axes in row if axes.lines)
    axes.legend(frameon=False, fontsize="small", title=title)


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
    axes.set_xlim(0, 1.02)
    axes.grid(alpha=0.3)


def _spread(accuracy: Array) -> Array:
    """Compute the standard deviation over the pairs (n - 1); NaN for one pair."""
    return accuracy.std(axis=0, ddof=1) if len(accuracy) > 1 else np.full(accuracy.shape[1], np.nan)


def _interval(name: str, differences: Array) -> dict[str, pa.Array]:
    """Make the columns of a mean difference and of the ends of its interval."""
    ends = zip(("mean", "low", "high"), gain_interval(differences), strict=True)
    return {f"{name}_{end}": _known(value) for end, value in ends}


def _known(values: Array) -> pa.Array:
    return pa.array(values, from_pandas=True)  # NaN becomes NULL


def _accuracy_rows(table: pa.Table) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = table.to_pylist()
    return [row for row in rows if row["measure"] == "accuracy" and row["coverage"] in _SUMMARISED]


def _where(row: dict[str, Any]) -> str:
    return f"{row['test_set']} of {row['survey']}, {_SUMMARISED[row['coverage']]}"


def _points(value: float) -> str:
    return f"{100 * value:+.2f}"


def _gain_sentence(row: dict[str, Any], states: tuple[str, str], names: tuple[str, str]) -> str:
    means = (100 * row[f"{state}_mean"] for state in states)
    both = f"{_where(row)}: " + ", ".join(f"{mean:.2f} % {name}" for mean, name in zip(means, names, strict=True))
    gain, pairs = f"{_points(row['gain_mean'])} points", counted(row["n_pairs"], "pair")
    if row["gain_low"] is None:
        return f"{both}; a difference of {gain} in one pair, which may be chance."
    low, high = row["gain_low"], row["gain_high"]
    if low == high == 0:
        return f"{both}; equal in each of {pairs}."
    interval = f"{_points(low)} to {_points(high)} over {pairs}"
    if row["workspaces_low"] is not None and row["n_pairs"] > row["n_workspaces"]:
        # seeds of one workspace share its galaxies, and are not as good as other workspaces
        ends = row["workspaces_low"], row["workspaces_high"]
        interval += f", {_points(ends[0])} to {_points(ends[1])} over the means of {row['n_workspaces']} workspaces"
        low, high = min(low, ends[0]), max(high, ends[1])
    if low <= 0 <= high:
        return f"{both}; the difference of {gain} is not resolved: its 95 % interval, {interval}, includes 0."
    return f"{both}; a {'gain' if row['gain_mean'] > 0 else 'loss'} of {gain} (95 % interval {interval})."


def _change_sentence(row: dict[str, Any], states: tuple[str, str], names: tuple[str, str]) -> str:
    (first, second), (_, name) = (f"{state}_change" for state in states), names
    low, high = row[f"{second}_low"], row[f"{second}_high"]
    interval = "" if low is None else f" (95 % interval {_points(low)} to {_points(high)})"
    return (
        f"{_where(row)}: change since round 1, which another training alone may cause: "
        f"{_points(row[f'{second}_mean'])} points for {name}{interval}, {_points(row[f'{first}_mean'])} for {names[0]}."
    )
