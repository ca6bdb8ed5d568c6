"""Report an experiment: read the finished runs, pair them, and write tables and a figure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from catbuilder.catalogue.connection import Connection, fetch_arrow, fetch_number
from catbuilder.catalogue.latest_round_and_run import last_round
from catbuilder.catalogue.round_records import read_plan
from catbuilder.catalogue.workspace import Workspace
from catbuilder.core.errors import RoundError
from catbuilder.core.resources import query
from catbuilder.rounds.gains_over_seeds import (
    Pair,
    PairedCurves,
    Point,
    change_sentences,
    curves_table,
    draw_curves,
    gain_sentences,
    paired_curves,
    summary_rows,
    write_table,
)


@dataclass(frozen=True)
class SeedRun:
    """The rounds of one arm with one seed, in one workspace."""

    arm: str
    workspace: Path  # the workspace that was copied
    seed: int
    copy: Path
    before_round: int
    after_round: int
    speaks: int  # the round whose model speaks after the last one
    ended_early: bool  # a round promoted and retracted nothing, so no later round was run
    promoted_in_training: int  # promoted labels that the last network was trained on
    taught_images: int  # images without a label that it was taught from
    measures: dict[Point, tuple[float, float]]  # after the first round, and after the last


@dataclass(frozen=True)
class Comparison:
    """Runs of an arm, each beside the run that it is compared with: of the same workspace and seed."""

    arm: str
    other: str  # what the arm is compared with
    pairs: tuple[tuple[SeedRun, SeedRun], ...]  # the other's first
    curves: tuple[PairedCurves, ...]


@dataclass(frozen=True)
class RecursionReport:
    """Comparison of arms with their control, or of colour with grey, over pairs of runs.

    Attributes
    ----------
    folder : Path
        Folder of the tables and the figure.
    name : str
        Name of table and figure, without the suffix.
    states : tuple[str, str]
        What the two runs of a pair are called in the tables, such as control and arm.
    comparisons : tuple[Comparison, ...]
        One for each arm, the recipe's own first.
    runs_file : Path
        CSV file with a row for each run.
    """

    folder: Path
    name: str
    states: tuple[str, str]
    comparisons: tuple[Comparison, ...]
    runs_file: Path

    @property
    def table(self) -> pa.Table:
        """One row for each arm, test set, survey, measure and coverage (see `gains_over_seeds.curves_table`)."""
        return pa.concat_tables(self._table(comparison) for comparison in self.comparisons)

    @property
    def summary(self) -> pa.Table:
        """The rows at half and at full coverage, with the gain."""
        return summary_rows(self.table)

    def sentences(self) -> list[str]:
        """Describe the report, one sentence an item: gains first, what they allow to conclude, then other changes."""
        lines = [line for c in self.comparisons for line in gain_sentences(self._table(c), self.states, _names(c))]
        lines += _conclusions(self.comparisons)
        if self.states == ARMS:
            lines += [
                line for c in self.comparisons for line in change_sentences(self._table(c), self.states, _names(c))
            ]
        return lines + _irregular_runs(self.comparisons)

    def _table(self, comparison: Comparison) -> pa.Table:
        table = curves_table(comparison.curves, self.states)
        return table.add_column(0, "arm", pa.array([comparison.arm] * table.num_rows, pa.string()))


ARMS = ("control", "arm")


def compare_runs(arm: str, other: str, runs: Iterable[SeedRun], others: Iterable[SeedRun]) -> Comparison | None:
    """Pair the runs of an arm with those of another, by workspace and seed; None if there is no pair."""
    beside = {(run.workspace, run.seed): run for run in others}
    pairs = tuple((beside[key], run) for run in runs if (key := (run.workspace, run.seed)) in beside)
    measured = [Pair(str(run.workspace), first.measures, run.measures) for first, run in pairs]
    return Comparison(arm, other, pairs, tuple(paired_curves(measured))) if pairs else None


def read_run(con: Connection, copy: Workspace, arm: str, workspace: Path, seed: int, base: int, rounds: int) -> SeedRun:
    """Read the measures of a finished run from the catalogue of its copy.

    Those after the last round are of the model that speaks then: a round may find its model worse than an earlier one.

    Parameters
    ----------
    base : last round of the copy before the run
    rounds : that were asked for

    Raises
    ------
    RoundError
        One of the rounds has none, since it was abandoned.
    """
    speaker = (
        "SELECT coalesce(max(model) FILTER (model NOT IN (SELECT model FROM refusals)), max(model), 0) "
        "FROM models WHERE model BETWEEN ? AND ?"
    )
    in_training = "SELECT count(*) FROM training WHERE round = ? AND role <> 'validation' AND source = ?"
    before, after = base + 1, min(last_round(con), base + rounds)
    promotes = read_plan(con, after).recipe.promotion.policy != "none"
    of_last = fetch_number(con, "SELECT count(*) FROM metrics WHERE round = ?", [after])
    speaks = fetch_number(con, speaker, [before, after])
    found = fetch_arrow(con, query("decisions/first_and_last_measures"), {"first": before, "last": speaks}).to_pylist()
    promoted, taught = (fetch_number(con, in_training, [after, source]) for source in ("promoted", "taught"))
    if not found or not of_last:
        raise RoundError(
            f"round {before} or {after} of {copy.path} has no accuracy on the test sets; remove that folder and give "
            "the same command again"
        )
    measures = {
        (row["test_set"], row["survey"], row["measure"], row["coverage"]): (row["first"], row["last"]) for row in found
    }
    return SeedRun(
        arm, workspace, seed, copy.path, before, after, speaks, promotes and after < base + rounds, promoted,
        taught, measures,
    )  # fmt: skip


def write_report(report: RecursionReport) -> None:
    """Write the tables and the figure of a report."""
    write_table(report.table, report.folder / f"{report.name}.csv")
    write_table(_runs_table(report), report.runs_file)
    draw_curves([(c.curves, _names(c)) for c in report.comparisons], report.folder / f"{report.name}.png")


def _names(comparison: Comparison) -> tuple[str, str]:
    return comparison.other, comparison.arm


def _runs(comparisons: Sequence[Comparison]) -> list[SeedRun]:
    """List every run once, those of the first comparison first."""
    runs = [run for side in (1, 0) for c in comparisons for run in (pair[side] for pair in c.pairs)]
    return list({run.copy: run for run in runs}.values())


def _conclusions(comparisons: Sequence[Comparison]) -> list[str]:
    """Say in plain words what so few pairs do not show; arms of which the same holds share a sentence."""
    arms: dict[str, list[str]] = {}
    for comparison in comparisons:
        pairs = len(comparison.pairs)
        places = len({run.workspace for _, run in comparison.pairs})
        if pairs == 1:
            text = (
                "one seed in one workspace, from which nothing can be concluded: another seed alone may change an "
                "accuracy by as much. Give more --seeds or --workspaces"
            )
        elif places == 1:
            text = (
                f"{pairs} seeds in one workspace, on the same labels and test galaxies: nothing can be concluded about "
                "other galaxies or another sky. Give --workspaces"
            )
        elif pairs == places:
            text = (
                f"one seed in each of {places} workspaces: nothing can be concluded about a single one of them, only "
                "about all together"
            )
        else:
            continue
        arms.setdefault(text, []).append(comparison.arm)
    return [f"{', '.join(names)}: {text}." for text, names in arms.items()]


def _irregular_runs(comparisons: Sequence[Comparison]) -> list[str]:
    runs = _runs(comparisons)
    several = len({run.workspace for run in runs}) > 1

    def who(run: SeedRun) -> str:
        return f"{run.arm}, seed {run.seed}" + (f" in {run.workspace}" if several else "")

    early = [f"{who(run)} (round {run.after_round})" for run in runs if run.ended_early]
    lines = []
    if early:
        lines.append(
            f"Ended early, with nothing left to promote or retract, so that the last round counts: {'; '.join(early)}."
        )
    older = [f"{who(run)} (that of round {run.speaks})" for run in runs if run.speaks < run.after_round]
    if older:
        lines.append(f"The model of an earlier round speaks at the end, and its accuracy counts: {'; '.join(older)}.")
    return lines


def _runs_table(report: RecursionReport) -> pa.Table:
    """Build a table with one row for each run: rounds, and measures at half and full coverage after first and last."""
    rows: list[dict[str, object]] = []
    for run in _runs(report.comparisons):
        row: dict[str, object] = {
            "arm": run.arm, "workspace": str(run.workspace), "seed": run.seed,
            "folder": str(run.copy.relative_to(run.workspace)), "before_round": run.before_round,
            "after_round": run.after_round, "speaks": run.speaks, "ended_early": run.ended_early,
            "promoted_in_training": run.promoted_in_training, "taught_images": run.taught_images,
        }  # fmt: skip
        for (test_set, survey, measure, coverage), values in sorted(run.measures.items()):
            if coverage in (0.5, 1.0):
                name = f"{test_set}_{survey}_{measure}_{coverage:g}"
                row |= {f"{name}_first": values[0], f"{name}_last": values[1]}
        rows.append(row)
    names = list(dict.fromkeys(name for row in rows for name in row))
    return pa.table({name: [row.get(name) for row in rows] for name in names})
