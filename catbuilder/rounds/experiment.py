"""The paper's recursion as an experiment: what training on promoted labels gains, and whether that is chance.

Khan et al. 2019 (section III and figure 6) compare ten networks before and after. Here each seed runs its rounds in
a copy of the catalogue of its own, since in one catalogue a seed would build upon another's promotions. The price is
disk: a catalogue and the models of its rounds for each seed. Stamps, which are most of a workspace, are linked.

All seeds start from one copy that is made once, so that they can be compared whenever each of them was run. Reported
are all that are done, whoever asked for them: a call for one seed must not hide the nine that were there.
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
from catbuilder.catalogue.last_numbers import last_recording, last_round
from catbuilder.catalogue.round_records import open_plan
from catbuilder.catalogue.workspace import Workspace
from catbuilder.core.errors import ConfigError, InputError, RoundError
from catbuilder.core.files import exclusive_lock, sync_folder
from catbuilder.core.progress import Reporter
from catbuilder.core.recipe import Recipe
from catbuilder.core.resources import query
from catbuilder.rounds.rollback import rollback
from catbuilder.rounds.run import run_rounds
from catbuilder.rounds.seed_gains import (
    PairedCurves,
    Point,
    curves_table,
    draw_curves,
    gain_sentences,
    paired_curves,
    told_rows,
    write_table,
)


@dataclass(frozen=True)
class SeedRun:
    """What the rounds of one seed came to."""

    seed: int
    workspace: Path  # its copy
    before_round: int
    after_round: int
    ended_early: bool  # nothing was promoted or retracted any more, so no later round was run
    promoted_in_training: int  # promoted labels that the last network was trained on
    accuracy: dict[Point, tuple[float, float]]  # before and after


@dataclass(frozen=True)
class RecursionReport:
    """Two states compared over seeds: before and after the recursion, or grey and colour."""

    folder: Path  # where its table and picture are
    name: str  # of both, without the ending
    states: tuple[str, str]
    seeds: tuple[SeedRun, ...]  # of grey and colour the grey ones
    seeds_file: Path  # a row for each of them
    curves: tuple[PairedCurves, ...]
    other_seeds: tuple[SeedRun, ...] = ()  # of grey and colour the colour ones

    @property
    def table(self) -> pa.Table:
        """One row a test set, survey and coverage (see `paired.curves_table`)."""
        return curves_table(self.curves, self.states)

    @property
    def summary(self) -> pa.Table:
        """The rows at half and at full coverage."""
        return told_rows(self.table)

    def sentences(self) -> list[str]:
        """What the summary says, in words."""
        told = gain_sentences(self.table, self.states)
        first, second = self.states
        kinds = {f"{first} ": self.seeds, f"{second} ": self.other_seeds} if self.other_seeds else {"": self.seeds}
        for kind, runs in kinds.items():
            early = [f"{run.seed} (round {run.after_round})" for run in runs if run.ended_early]
            if early:
                told.append(
                    f"Nothing was promoted or retracted any more in the {kind}runs of seed {', '.join(early)}: "
                    "their last round counts as the state after."
                )
        if len(self.seeds) == 1:
            told.append("This is one seed: intervals need two or more, and the paper took ten.")
        return told


def run_recursion(
    workspace: Workspace,
    seeds: Sequence[int],
    rounds: int = 2,
    *,
    recipe: Recipe,
    ranks: int = 1,
    reporter: Reporter | None = None,
) -> RecursionReport:
    """Run `rounds` rounds for each seed, each in a copy of the workspace, and compare the last with the first.

    Writes `recursion-2-rounds.csv`, `seeds-2-rounds.csv` and `recursion-2-rounds.png` (of 2 rounds) into
    `experiments/recursion-<recipe>-<hash>`, and nothing else in the workspace. Seeds and rounds that are there already
    are not run again, so the same call goes on where one was cut short, and one with other seeds adds those: the report
    is about every seed there that has run so many rounds.

    Raises
    ------
    RoundError
        A round of the workspace is unfinished, one of a copy was given up and has no metrics, or a seed that is there
        was trained by another number of ranks.
    InputError
        Fewer than two rounds, no seed, or no test set with a truth to compare by.
    WorkspaceBusy
        The same experiment is under way elsewhere.
    WorkerDied
        A worker ended before its work was done; the same call goes on from there.
    """
    seeds = list(dict.fromkeys(seeds))
    if rounds < 2 or not seeds:
        raise InputError("a recursion needs one seed or more and two rounds or more: there is no before and after else")
    reporter = reporter or Reporter()
    start = prepare_start(workspace, recipe, reporter)
    return _run_seeds(start, start.path.parent, seeds, rounds, recipe, ranks, reporter)


def compare_with_grey(
    workspace: Workspace,
    seeds: Sequence[int],
    rounds: int = 2,
    *,
    recipe: Recipe,
    ranks: int = 1,
    reporter: Reporter | None = None,
) -> RecursionReport:
    """The same recursion on grey images, and what colour gains over it after the last round, seed by seed.

    Runs the recursion in colour first where that is not done. The grey one is in `grey/` beside its seeds and starts
    from the same copy; `grey-2-rounds.csv` and `grey-2-rounds.png` compare the two, over the seeds that both
    have done. Raises what `run_recursion` and `grey_version` do.
    """
    grey_recipe, reporter = grey_version(recipe), reporter or Reporter()
    colour = run_recursion(workspace, seeds, rounds, recipe=recipe, ranks=ranks, reporter=reporter)
    reporter.say("the same on grey images")
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
    """The same recipe on grey images, under a name of its own.

    Raises
    ------
    ConfigError
        It sees grey already.
    """
    if recipe.network.grey:
        raise ConfigError(f"recipe {recipe.name} has network.grey = true already; give one that sees colour")
    network = recipe.network.model_copy(update={"grey": True})
    return recipe.model_copy(update={"name": f"{recipe.name}-grey", "network": network})


def experiment_folder(workspace: Workspace, recipe: Recipe) -> Path:
    """Where the recursion of a recipe is kept: another recipe, or the same with one setting changed, is another."""
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", recipe.name)
    return workspace.path / "experiments" / f"recursion-{name}-{recipe.sha256[:8]}"


def prepare_start(workspace: Workspace, recipe: Recipe, reporter: Reporter) -> Workspace:
    """The copy from which all seeds start, with every promotion taken back; made once, and then as it is.

    Raises
    ------
    RoundError
        A round of the workspace is unfinished.
    InputError
        No test set has a truth.
    """
    folder = experiment_folder(workspace, recipe)
    place = folder / "start"
    if not place.exists():
        with workspace.reading() as con:
            _refuse(con, workspace)
        folder.mkdir(parents=True, exist_ok=True)
        with _alone(folder):
            if not place.exists():  # whoever held the lock before may have made it
                with _made_whole(place) as draft:
                    # Recorded even where there is nothing to take back: it is then one recording ahead of its original.
                    rollback(_copy(workspace, draft), 0)
    start = Workspace.open(place)
    _tell_if_outdated(workspace, start, reporter)
    return start


def prepare_seed(start: Workspace, folder: Path, seed: int) -> Workspace:
    """The copy in which a seed's rounds are run; made where it is not there yet."""
    place = _seed_folder(folder, seed)
    if not place.exists():
        with _made_whole(place) as draft:
            _copy(start, draft)
    return Workspace.open(place)


def _refuse(con: Connection, workspace: Workspace) -> None:
    unfinished = open_plan(con)
    if unfinished is not None:
        raise RoundError(
            f"round {unfinished[0].round} of {workspace.path} is {unfinished[1]}, not closed; "
            "finish it first with: catbuilder round --n 1"
        )
    if not fetch_number(con, "SELECT count(*) FROM test_sets WHERE truth IS NOT NULL"):
        raise InputError(
            f"no test set of {workspace.path} has a truth to measure by; declare one with: catbuilder testset"
        )


def _tell_if_outdated(workspace: Workspace, start: Workspace, reporter: Reporter) -> None:
    with workspace.reading() as con, start.reading() as before:
        more = last_recording(con) - (last_recording(before) - 1)
    if more > 0:
        reporter.say(
            f"note: the workspace was written to since this experiment began (recordings: {more}), and all its seeds "
            f"start from the catalogue as it was then; to begin anew, remove {start.path.parent}"
        )


def _alone(folder: Path) -> AbstractContextManager[None]:
    return exclusive_lock(folder / "experiment.lock", f"the experiment {folder} is under way")


@contextmanager
def _made_whole(place: Path) -> Iterator[Path]:
    """A folder to fill that gets its name once it is filled; what a kill has left of an earlier one goes."""
    draft = place.with_name(f".{place.name}.draft")
    if draft.exists():
        shutil.rmtree(draft)
    draft.mkdir(parents=True)
    yield draft
    os.replace(draft, place)
    sync_folder(place.parent)


def _copy(source: Workspace, place: Path) -> Workspace:
    """Copy settings, log and catalogue into a folder, link stamps and models."""
    with source.reading() as con:
        models = [Path(name) for name, _ in con.execute(query("catalogue/model_files")).fetchall()]
        copy_catalogue(source, place)
    for shared in (Path("stamps"), *models):
        if (source.path / shared).exists():
            _link(source.path / shared, place / shared)
    return Workspace.open(place)


def _link(target: Path, place: Path) -> None:
    """Link relatively, so that a workspace may be moved with its experiments; by where the folders truly are.

    `experiments` may itself be a link to another disk, and the kernel takes `..` from there.
    """
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(os.path.relpath(target.parent.resolve() / target.name, place.parent.resolve()))


def _run_seeds(
    start: Workspace, folder: Path, seeds: Sequence[int], rounds: int, recipe: Recipe, ranks: int, reporter: Reporter
) -> RecursionReport:
    """All seeds, then the report and its files."""
    folder.mkdir(exist_ok=True)
    with start.reading() as con:
        base = last_round(con)
    with _alone(folder):
        for seed, copy in _copies(folder).items():
            _refuse_other_ranks(copy, seed, base, ranks)
        for place, seed in enumerate(seeds, start=1):
            copy = prepare_seed(start, folder, seed)
            while left := _rounds_left(copy, base, rounds):
                reporter.say(f"seed {seed} ({place} of {len(seeds)}): rounds to run: {left}")
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
    """The copies that are there, by their seeds."""
    names = (place.name.removeprefix("seed-") for place in folder.glob("seed-*"))
    seeds = sorted(int(name) for name in names if name.isdecimal())
    return {seed: Workspace.open(_seed_folder(folder, seed)) for seed in seeds}


def _seed_folder(folder: Path, seed: int) -> Path:
    return folder / f"seed-{seed:02d}"


def _refuse_other_ranks(copy: Workspace, seed: int, base: int, ranks: int) -> None:
    """The ranks decide batch and rate, so that networks of one and of four are two experiments."""
    other = "SELECT ranks FROM rounds WHERE round > ? AND ranks <> ?"
    with copy.reading(wait_s=None) as con:
        row = first_row(con, other, [base, ranks])
    if row:
        raise RoundError(
            f"seed {seed} was trained with --np {row[0]} and cannot be compared with seeds of --np {ranks}; "
            f"give --np {row[0]}, or remove {copy.path}"
        )


def _rounds_left(copy: Workspace, base: int, rounds: int) -> int:
    """Rounds that a seed still has to run after those that its copy came with; none if it has ended by itself."""
    with copy.reading(wait_s=None) as con:
        last, step, ended = first_row(con, query("rounds/last_round")) or (base, "closed", False)
    if last > base and step == "closed" and ended:
        return 0
    return max(base + rounds - last + (step != "closed"), 0)


def _read_seed(copy: Workspace, seed: int, base: int, rounds: int) -> SeedRun:
    """Accuracies of the first and the last round of a seed that is done.

    Raises
    ------
    RoundError
        One of them has none: it was given up.
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
            f"round {before} or {after} of {copy.path} measured nothing on the test sets; remove that folder and give "
            "the same command again"
        )
    return SeedRun(seed, copy.path, before, after, after < base + rounds, trained_on, accuracy)


def _write(report: RecursionReport) -> None:
    write_table(report.table, report.folder / f"{report.name}.csv")
    draw_curves(report.curves, report.states, report.folder / f"{report.name}.png")


def _seeds_table(report: RecursionReport) -> pa.Table:
    """One row a seed: its rounds, and its accuracies at half and at full coverage, each before and after."""
    told = [tuple(row[name] for name in ("test_set", "survey", "coverage")) for row in report.summary.to_pylist()]
    rows = []
    for run in report.seeds:
        row: dict[str, object] = {
            "seed": run.seed, "folder": run.workspace.name, "before_round": run.before_round,
            "after_round": run.after_round, "ended_early": run.ended_early,
            "promoted_in_training": run.promoted_in_training,
        }  # fmt: skip
        for test_set, survey, coverage in told:
            for state, value in zip(report.states, run.accuracy[test_set, survey, coverage], strict=True):
                row[f"{test_set}_{survey}_{coverage:g}_{state}"] = value
        rows.append(row)
    return pa.Table.from_pylist(rows)
