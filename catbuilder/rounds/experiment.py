"""Run rounds over several seeds and measure what training on promoted labels gains.

Khan et al. 2019 (section III and figure 6) compare ten networks before and after. Here each seed runs its rounds in its
own copy of the catalogue, since in one catalogue a seed would build on the promotions of another. The price is disk: a
catalogue and the models of its rounds for each seed. Stamps, which are most of a workspace, are linked.

All seeds start from one copy that is made once, so they can be compared no matter when each was run. The report covers
every finished seed, including those of earlier calls: a call for one seed must not hide the nine that were there.
"""

import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from catbuilder.catalogue.backup import copy_catalogue
from catbuilder.catalogue.connection import Connection, fetch_arrow, fetch_number, first_row
from catbuilder.catalogue.latest_round_and_run import last_recording, last_round
from catbuilder.catalogue.round_records import open_plan
from catbuilder.catalogue.workspace import Workspace
from catbuilder.core.errors import ConfigError, InputError, RoundError
from catbuilder.core.files import exclusive_lock, sync_folder
from catbuilder.core.progress import Reporter
from catbuilder.core.recipe import Recipe
from catbuilder.core.resources import query
from catbuilder.rounds.gains_over_seeds import (
    PairedCurves,
    Point,
    curves_table,
    draw_curves,
    gain_sentences,
    paired_curves,
    summary_rows,
    write_table,
)
from catbuilder.rounds.rollback import rollback
from catbuilder.rounds.run import run_rounds


@dataclass(frozen=True)
class SeedRun:
    """The result of one seed's rounds."""

    seed: int
    workspace: Path  # its copy
    before_round: int
    after_round: int
    ended_early: bool  # a round promoted and retracted nothing, so no later round was run
    promoted_in_training: int  # promoted labels that the last network was trained on
    accuracy: dict[Point, tuple[float, float]]  # before and after


@dataclass(frozen=True)
class RecursionReport:
    """Comparison of two states over seeds: before and after the recursion, or grey and colour.

    Attributes
    ----------
    folder : Path
        Folder of the table and the figure.
    name : str
        Name of both files, without the suffix.
    states : tuple[str, str]
        Names of the two states compared.
    seeds : tuple[SeedRun, ...]
        Runs of the seeds; in a comparison of grey and colour, the grey runs.
    seeds_file : Path
        CSV file with a row for each seed.
    curves : tuple[PairedCurves, ...]
        Accuracy against coverage of the two states, by test set and survey.
    other_seeds : tuple[SeedRun, ...]
        In a comparison of grey and colour, the colour runs.
    """

    folder: Path
    name: str
    states: tuple[str, str]
    seeds: tuple[SeedRun, ...]
    seeds_file: Path
    curves: tuple[PairedCurves, ...]
    other_seeds: tuple[SeedRun, ...] = ()

    @property
    def table(self) -> pa.Table:
        """One row for each test set, survey and coverage (see `gains_over_seeds.curves_table`)."""
        return curves_table(self.curves, self.states)

    @property
    def summary(self) -> pa.Table:
        """The rows at half and at full coverage."""
        return summary_rows(self.table)

    def sentences(self) -> list[str]:
        """Describe the report, one sentence an item."""
        lines = gain_sentences(self.table, self.states)
        first, second = self.states
        kinds = {f"{first} ": self.seeds, f"{second} ": self.other_seeds} if self.other_seeds else {"": self.seeds}
        for kind, runs in kinds.items():
            early = [f"{run.seed} (round {run.after_round})" for run in runs if run.ended_early]
            if early:
                lines.append(
                    f"The {kind}runs of seed {', '.join(early)} ended early, with nothing left to promote or retract: "
                    "their last round counts as the state after."
                )
        if len(self.seeds) == 1:
            lines.append("This is one seed: intervals need two or more, and the paper used ten.")
        return lines


def run_recursion(
    workspace: Workspace,
    seeds: Sequence[int],
    rounds: int = 2,
    *,
    recipe: Recipe | str | Path | None = None,
    ranks: int = 1,
    reporter: Reporter | None = None,
) -> RecursionReport:
    """Run `rounds` rounds for each seed, each in a copy of the workspace, and compare the last with the first.

    For 2 rounds it writes `recursion-2-rounds.csv`, `seeds-2-rounds.csv` and `recursion-2-rounds.png` into
    `experiments/recursion-<recipe>-<hash>`, and nothing else in the workspace. Finished seeds and rounds are not run
    again. So the same call continues an interrupted one, and a call with other seeds adds those. The report covers
    every seed there that has run this number of rounds.

    Parameters
    ----------
    workspace : Workspace
        The workspace that each seed's copy is made of.
    seeds : sequence of int
        The seeds to run.
    rounds : int
        Rounds of each seed, 2 or more.
    recipe : Recipe, str or Path, optional
        A recipe, the name of a shipped one, or the path of a TOML file. By default the recipe that `catbuilder.toml`
        names.
    ranks : int
        Number of processes that train together.
    reporter : Reporter, optional
        Shows progress and warnings; by default nothing is printed.

    Returns
    -------
    RecursionReport
        The first and the last round compared, over all finished seeds.

    Raises
    ------
    RoundError
        A round of the workspace is unfinished, a round of a copy was abandoned and has no metrics, or a finished seed
        was trained by another number of ranks.
    InputError
        Fewer than two rounds, no seed, or no test set with known classes.
    WorkspaceBusy
        The same experiment is under way elsewhere.
    WorkerDied
        A worker ended before its work was done; the same call continues from there.

    Examples
    --------
    >>> catbuilder.run_recursion(workspace, [1, 2, 3], rounds=2).summary.to_pylist()
    """
    seeds = list(dict.fromkeys(seeds))
    if rounds < 2 or not seeds:
        raise InputError("a recursion compares the first round with the last; give at least two rounds and one seed")
    chosen, reporter = workspace.recipe(recipe), reporter or Reporter(quiet=True)
    start = make_start_copy(workspace, chosen, reporter)
    return _run_seeds(start, start.path.parent, seeds, rounds, chosen, ranks, reporter)


def compare_with_grey(
    workspace: Workspace,
    seeds: Sequence[int],
    rounds: int = 2,
    *,
    recipe: Recipe | str | Path | None = None,
    ranks: int = 1,
    reporter: Reporter | None = None,
) -> RecursionReport:
    """Run the recursion on grey images too, and compare grey with colour after the last round, seed by seed.

    The recursion in colour is run first unless it is finished. The grey one is in `grey/` beside the seeds in colour
    and starts from the same copy. `grey-2-rounds.csv` and `grey-2-rounds.png` compare the two, over the seeds that
    have finished both. Parameters are those of `run_recursion`; it raises what that and `grey_version` raise.
    """
    chosen, reporter = workspace.recipe(recipe), reporter or Reporter(quiet=True)
    grey_recipe = grey_version(chosen)
    colour = run_recursion(workspace, seeds, rounds, recipe=chosen, ranks=ranks, reporter=reporter)
    reporter.say("running the same on grey images")
    start, folder = Workspace.open(colour.folder / "start"), colour.folder / "grey"
    grey = _run_seeds(start, folder, list(dict.fromkeys(seeds)), rounds, grey_recipe, ranks, reporter)
    coloured = {run.seed: run for run in colour.seeds}
    both = [(run, coloured[run.seed]) for run in grey.seeds if run.seed in coloured]
    pairs = [
        {point: (run.accuracy[point][1], other.accuracy[point][1]) for point in run.accuracy.keys() & other.accuracy}
        for run, other in both
    ]
    report = RecursionReport(
        colour.folder, f"grey-{rounds}-rounds", ("grey", "colour"), tuple(run for run, _ in both), grey.seeds_file,
        tuple(paired_curves(pairs)), tuple(other for _, other in both),
    )  # fmt: skip
    _write(report)
    return report


def grey_version(recipe: Recipe) -> Recipe:
    """Change a recipe to grey images, under its name with `-grey` added.

    Raises
    ------
    ConfigError
        It has grey images already.
    """
    if recipe.network.grey:
        raise ConfigError(f"recipe {recipe.name} has network.grey = true already; give a recipe with colour images")
    network = recipe.network.model_copy(update={"grey": True})
    return recipe.model_copy(update={"name": f"{recipe.name}-grey", "network": network})


def experiment_folder(workspace: Workspace, recipe: Recipe) -> Path:
    """Return the folder of a recipe's recursion; a recipe with one setting changed has another folder."""
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", recipe.name)
    return workspace.path / "experiments" / f"recursion-{name}-{recipe.sha256[:8]}"


def make_start_copy(workspace: Workspace, recipe: Recipe, reporter: Reporter) -> Workspace:
    """Copy the workspace, with every promotion taken back, as the start of all seeds; an existing copy is used.

    Raises
    ------
    RoundError
        A round of the workspace is unfinished.
    InputError
        No test set has known classes.
    """
    folder = experiment_folder(workspace, recipe)
    copy = folder / "start"
    if not copy.exists():
        with workspace.reading() as con:
            _require_comparable(con, workspace)
        folder.mkdir(parents=True, exist_ok=True)
        with _experiment_lock(folder):
            if not copy.exists():  # another process may have made it before it released the lock
                with _filled_folder(copy) as draft:
                    # Recorded even if there is nothing to take back: the copy is always one recording ahead.
                    rollback(_copy(workspace, draft), 0)
    start = Workspace.open(copy)
    _report_if_outdated(workspace, start, reporter)
    return start


def make_seed_copy(start: Workspace, folder: Path, seed: int) -> Workspace:
    """Copy the start for the rounds of one seed; an existing copy is used."""
    copy = _seed_folder(folder, seed)
    if not copy.exists():
        with _filled_folder(copy) as draft:
            _copy(start, draft)
    return Workspace.open(copy)


def _require_comparable(con: Connection, workspace: Workspace) -> None:
    unfinished = open_plan(con)
    if unfinished is not None:
        raise RoundError(
            f"round {unfinished[0].round} of {workspace.path} is {unfinished[1]}, not closed; "
            "finish it first with: catbuilder round --n 1"
        )
    if not fetch_number(con, "SELECT count(*) FROM test_sets WHERE truth IS NOT NULL"):
        raise InputError(
            f"no test set of {workspace.path} has known classes to measure with; add one with: catbuilder testset"
        )


def _report_if_outdated(workspace: Workspace, start: Workspace, reporter: Reporter) -> None:
    with workspace.reading() as con, start.reading() as before:
        more = last_recording(con) - (last_recording(before) - 1)
    if more > 0:
        reporter.say(
            f"note: the workspace has changed since this experiment began (recordings: {more}), and all its seeds "
            f"start from the catalogue as it was then; to start again, remove {start.path.parent}"
        )


def _experiment_lock(folder: Path) -> AbstractContextManager[None]:
    return exclusive_lock(folder / "experiment.lock", f"the experiment {folder} is under way")


@contextmanager
def _filled_folder(folder: Path) -> Iterator[Path]:
    """Give a draft folder to fill, and rename it once it is filled; the draft of a killed process is removed."""
    draft = folder.with_name(f".{folder.name}.draft")
    if draft.exists():
        shutil.rmtree(draft)
    draft.mkdir(parents=True)
    yield draft
    os.replace(draft, folder)
    sync_folder(folder.parent)


def _copy(source: Workspace, folder: Path) -> Workspace:
    """Copy settings, log and catalogue into a folder; link stamps and models."""
    with source.reading() as con:
        models = [Path(name) for name, _ in con.execute(query("catalogue/model_files")).fetchall()]
        copy_catalogue(source, folder)
    for shared in (Path("stamps"), *models):
        if (source.path / shared).exists():
            _link(source.path / shared, folder / shared)
    return Workspace.open(folder)


def _link(target: Path, place: Path) -> None:
    """Make a relative link between the resolved folders, so that a workspace can be moved with its experiments.

    `experiments` may itself be a link to another disk, and the kernel resolves `..` from there.
    """
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(os.path.relpath(target.parent.resolve() / target.name, place.parent.resolve()))


def _run_seeds(
    start: Workspace, folder: Path, seeds: Sequence[int], rounds: int, recipe: Recipe, ranks: int, reporter: Reporter
) -> RecursionReport:
    """Run all seeds, then write the report and its files."""
    folder.mkdir(exist_ok=True)
    with start.reading() as con:
        base = last_round(con)
    with _experiment_lock(folder):
        for seed, copy in _copies(folder).items():
            _refuse_other_ranks(copy, seed, base, ranks)
        for number, seed in enumerate(seeds, start=1):
            copy = make_seed_copy(start, folder, seed)
            while left := _rounds_left(copy, base, rounds):
                reporter.say(f"seed {seed} ({number} of {len(seeds)}): {left} rounds to run")
                run_rounds(copy, left, recipe, ranks=ranks, seed=seed, reporter=reporter)
        done = {seed: copy for seed, copy in _copies(folder).items() if not _rounds_left(copy, base, rounds)}
        runs = [_read_seed(copy, seed, base, rounds) for seed, copy in done.items()]
        report = RecursionReport(
            folder, f"recursion-{rounds}-rounds", ("before", "after"), tuple(runs),
            folder / f"seeds-{rounds}-rounds.csv", tuple(paired_curves([run.accuracy for run in runs])),
        )  # fmt: skip
        _write(report)
        write_table(_seeds_table(report), report.seeds_file)
    return report


def _copies(folder: Path) -> dict[int, Workspace]:
    """Open the existing copies, by seed."""
    names = (copy.name.removeprefix("seed-") for copy in folder.glob("seed-*"))
    seeds = sorted(int(name) for name in names if name.isdecimal())
    return {seed: Workspace.open(_seed_folder(folder, seed)) for seed in seeds}


def _seed_folder(folder: Path, seed: int) -> Path:
    return folder / f"seed-{seed:02d}"


def _refuse_other_ranks(copy: Workspace, seed: int, base: int, ranks: int) -> None:
    """Refuse seeds that were trained with another number of ranks, which changes batch size and learning rate."""
    other = "SELECT ranks FROM rounds WHERE round > ? AND ranks <> ?"
    with copy.reading(wait_s=None) as con:
        row = first_row(con, other, [base, ranks])
    if row:
        raise RoundError(
            f"seed {seed} was trained with --np {row[0]} and cannot be compared with seeds of --np {ranks}; "
            f"give --np {row[0]}, or remove {copy.path}"
        )


def _rounds_left(copy: Workspace, base: int, rounds: int) -> int:
    """Count the rounds that a seed still has to run after those in its copy; 0 if its run has ended early."""
    with copy.reading(wait_s=None) as con:
        last, step, ended = first_row(con, query("rounds/last_round")) or (base, "closed", False)
    if last > base and step == "closed" and ended:
        return 0
    return max(base + rounds - last + (step != "closed"), 0)


def _read_seed(copy: Workspace, seed: int, base: int, rounds: int) -> SeedRun:
    """Read the accuracies of the first and the last round of a finished seed.

    Raises
    ------
    RoundError
        One of the rounds has none, since it was abandoned.
    """
    with copy.reading(wait_s=None) as con:
        before, after = base + 1, min(last_round(con), base + rounds)
        curves = fetch_arrow(con, query("decisions/accuracy_curves"), {"rounds": [before, after]}).to_pylist()
        promoted = "SELECT count(*) FROM training WHERE round = ? AND role = 'training' AND source = 'promoted'"
        trained_on = fetch_number(con, promoted, [after])
    first, last = (
        {(row["test_set"], row["survey"], row["coverage"]): row["value"] for row in curves if row["round"] == number}
        for number in (before, after)
    )
    accuracy = {point: (first[point], last[point]) for point in first.keys() & last}
    if not accuracy:
        raise RoundError(
            f"round {before} or {after} of {copy.path} has no accuracy on the test sets; remove that folder and give "
            "the same command again"
        )
    return SeedRun(seed, copy.path, before, after, after < base + rounds, trained_on, accuracy)


def _write(report: RecursionReport) -> None:
    write_table(report.table, report.folder / f"{report.name}.csv")
    draw_curves(report.curves, report.states, report.folder / f"{report.name}.png")


def _seeds_table(report: RecursionReport) -> pa.Table:
    """Build a table with one row for each seed: rounds, and accuracies at half and full coverage in both states."""
    points = [tuple(row[name] for name in ("test_set", "survey", "coverage")) for row in report.summary.to_pylist()]
    rows = []
    for run in report.seeds:
        row: dict[str, object] = {
            "seed": run.seed, "folder": run.workspace.name, "before_round": run.before_round,
            "after_round": run.after_round, "ended_early": run.ended_early,
            "promoted_in_training": run.promoted_in_training,
        }  # fmt: skip
        for test_set, survey, coverage in points:
            for state, value in zip(report.states, run.accuracy[test_set, survey, coverage], strict=True):
                row[f"{test_set}_{survey}_{coverage:g}_{state}"] = value
        rows.append(row)
    return pa.Table.from_pylist(rows)
