"""Run a recipe and its control over seeds and workspaces, and measure what the recursion gains.

Khan et al. 2019 (section III and figure 6) compare ten networks before and after. But a network that is trained again
is another network, with or without promoted labels. So here each seed also runs a control: the same rounds, and as many
steps of training, without promotion. Arm and control are compared after their last round, seed by seed.

Each seed of each arm has its own copy of the catalogue (see `experiment_copies`). The control trains its first round
itself, although it is that of the arm up to what is promoted: that costs a round, and no copy has to be unpicked. The
report covers every finished seed, including those of earlier calls: a call for one seed must not hide the nine that
were there.
"""

import os
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from catbuilder.catalogue.connection import Connection, first_row
from catbuilder.catalogue.latest_round_and_run import last_round
from catbuilder.catalogue.round_records import read_plan
from catbuilder.catalogue.workspace import Workspace
from catbuilder.core.cluster import connected
from catbuilder.core.errors import ConfigError, InputError, RoundError
from catbuilder.core.files import write_text
from catbuilder.core.progress import Reporter
from catbuilder.core.recipe import Recipe
from catbuilder.core.resources import query
from catbuilder.core.safe_text import counted
from catbuilder.rounds.arms import control_of, grey_version, load_arm, repeats_itself
from catbuilder.rounds.experiment_copies import (
    existing_copies,
    experiment_folder,
    experiment_lock,
    folder_name,
    make_seed_copy,
    make_start_copy,
)
from catbuilder.rounds.experiment_report import (
    ARMS,
    RecursionReport,
    SeedRun,
    compare_runs,
    read_run,
    write_report,
)
from catbuilder.rounds.run import run_rounds


def run_recursion(
    workspace: Workspace,
    seeds: Sequence[int],
    rounds: int = 2,
    *,
    recipe: Recipe | str | Path | None = None,
    arms: Sequence[Recipe | str | Path] = (),
    workspaces: Sequence[Workspace | str | Path] = (),
    ranks: int = 1,
    cluster: str = "",
    reporter: Reporter | None = None,
) -> RecursionReport:
    """Run `rounds` rounds of a recipe and of its control for each seed, and compare them after the last round.

    The control is the same training without promotion (`control_of`). Every seed runs in its own copy of the workspace.
    For 2 rounds this writes `recursion-2-rounds.csv`, `seeds-2-rounds.csv` and `recursion-2-rounds.png` into
    `experiments/recursion-<recipe>-<hash>`, and nothing else in the workspace. Finished seeds and rounds are not run
    again. So the same call continues an interrupted one, and a call with other seeds, arms or workspaces adds those.
    The report covers every seed, arm and workspace of the experiment that has run this number of rounds.

    Parameters
    ----------
    workspace : Workspace
        The workspace that each seed's copy is made of; the report is written here.
    seeds : sequence of int
        The seeds to run.
    rounds : int
        Rounds of each seed, 2 or more.
    recipe : Recipe, str or Path, optional
        A recipe, the name of a shipped one, or the path of a TOML file. By default the recipe that `catbuilder.toml`
        names.
    arms : sequence of Recipe, str or Path
        Further recipes to compare with the same control; a string may change settings, as in `"real:members=3"`.
    workspaces : sequence of Workspace, str or Path
        Further workspaces, such as other simulated skies, in which all arms run too; their copies are in their own
        `experiments`.
    ranks : int
        Number of processes that train together.
    cluster : str
        Where the processes run: empty is this machine; for the others see `run_rounds`.
    reporter : Reporter, optional
        Shows progress and warnings; by default nothing is printed.

    Returns
    -------
    RecursionReport
        Each arm compared with the control, over all finished pairs of one workspace and seed.

    Raises
    ------
    ConfigError
        There is no such recipe, it neither promotes nor teaches, or it labels a survey that a workspace lacks.
    RoundError
        A round of a workspace is unfinished, a round of a copy was abandoned and has no metrics, a finished seed was
        trained by another number of ranks, or an older catbuilder began the experiment.
    InputError
        Fewer than two rounds, no seed, no test set with known classes, or workspaces of other classes.
    WorkspaceBusy
        The same experiment is under way elsewhere.
    WorkerDied
        A worker ended before its work was done; the same call continues from there.

    Examples
    --------
    >>> report = catbuilder.run_recursion(workspace, range(10), rounds=3, arms=["real:members=3"])
    >>> report.summary.to_pylist()
    """
    chosen, reporter = workspace.recipe(recipe), reporter or Reporter(quiet=True)
    others = [load_arm(arm) if isinstance(arm, str) else workspace.recipe(arm) for arm in arms]
    control = control_of(chosen)
    experiment = _Experiment.open(workspace, chosen, workspaces, seeds, rounds, ranks, cluster, reporter)
    with experiment.locked(), connected(cluster, reporter.say):
        experiment.remember([chosen, control, *others])
        experiment.run([chosen, control, *others])
        comparisons = []
        labels = experiment.labels()
        beside = experiment.finished(folder_name(control), labels[folder_name(control)])
        for folder, label in labels.items():
            if folder != folder_name(control):
                found = compare_runs(label, "control", experiment.finished(folder, label), beside)
                comparisons += [found] if found else []
        report = RecursionReport(
            experiment.folder, f"recursion-{rounds}-rounds", ARMS, tuple(comparisons),
            experiment.folder / f"seeds-{rounds}-rounds.csv",
        )  # fmt: skip
        write_report(report)
    return report


def compare_with_grey(
    workspace: Workspace,
    seeds: Sequence[int],
    rounds: int = 2,
    *,
    recipe: Recipe | str | Path | None = None,
    workspaces: Sequence[Workspace | str | Path] = (),
    ranks: int = 1,
    cluster: str = "",
    reporter: Reporter | None = None,
) -> RecursionReport:
    """Run the recursion on grey images too, and compare grey with colour after the last round, seed by seed.

    The recursion in colour is run first unless it is finished; neither needs a control here. The two are compared in
    `grey-2-rounds.csv` and `grey-2-rounds.png`, over the seeds that have finished both. Parameters are those of
    `run_recursion`; it raises what that and `grey_version` raise.
    """
    chosen, reporter = workspace.recipe(recipe), reporter or Reporter(quiet=True)
    grey = grey_version(chosen)
    experiment = _Experiment.open(workspace, chosen, workspaces, seeds, rounds, ranks, cluster, reporter)
    with experiment.locked(), connected(cluster, reporter.say):
        experiment.remember([])
        experiment.run([chosen, grey])
        colours, greys = (experiment.finished(folder_name(each), each.name) for each in (chosen, grey))
        found = compare_runs("colour", "grey", colours, greys)
        assert found  # the seeds of this call
        report = RecursionReport(
            experiment.folder, f"grey-{rounds}-rounds", ("grey", "colour"), (found,),
            experiment.folder / f"grey-seeds-{rounds}-rounds.csv",
        )  # fmt: skip
        write_report(report)
    return report


class _Record(BaseModel):
    """Content of `experiment.json`: the arms' names by folder, and the other workspaces from the first one's folder."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    arms: dict[str, str] = {}
    workspaces: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Place:
    """A workspace of an experiment, and the start of its copies."""

    workspace: Workspace
    start: Workspace
    base: int  # last round of the start

    @property
    def folder(self) -> Path:
        return self.start.path.parent


@dataclass(frozen=True)
class _Experiment:
    """What one call runs, and where the files of the experiment are."""

    recipe: Recipe
    places: tuple[_Place, ...]  # those of this call
    seeds: tuple[int, ...]
    rounds: int
    ranks: int
    cluster: str
    reporter: Reporter

    @classmethod
    def open(
        cls,
        workspace: Workspace,
        recipe: Recipe,
        workspaces: Sequence[Workspace | str | Path],
        seeds: Sequence[int],
        rounds: int,
        ranks: int,
        cluster: str,
        reporter: Reporter,
    ) -> "_Experiment":
        """Check what is asked for, and make the copies from which all others start."""
        if rounds < 2 or not seeds:
            raise InputError(
                "a recursion needs a round whose labels another one learns from; give at least two rounds and one seed"
            )
        opened = [workspace, *(w if isinstance(w, Workspace) else Workspace.open(w) for w in workspaces)]
        opened = list({w.path.resolve(): w for w in reversed(opened)}.values())[::-1]
        for other in opened:
            _require_alike(workspace, other, recipe)
        starts = [(each, make_start_copy(each, recipe, reporter)) for each in opened]
        places = tuple(_place(each, start) for each, start in starts)
        return cls(recipe, places, tuple(dict.fromkeys(seeds)), rounds, ranks, cluster, reporter)

    @property
    def folder(self) -> Path:
        return self.places[0].folder

    def locked(self) -> ExitStack:
        """Hold the locks of this experiment in all its workspaces."""
        with ExitStack() as stack:
            for place in self.places:
                stack.enter_context(experiment_lock(place.folder))
            return stack.pop_all()

    def remember(self, arms: Sequence[Recipe]) -> None:
        """Record arms and workspaces, so that later calls report them too."""
        record, first = self._record(), self.places[0].workspace.path
        others = [os.path.relpath(place.workspace.path.resolve(), first.resolve()) for place in self.places[1:]]
        record = _Record(
            arms=record.arms | {folder_name(arm): arm.name for arm in arms},
            workspaces=tuple(dict.fromkeys([*record.workspaces, *others])),
        )
        write_text(self.folder / "experiment.json", record.model_dump_json(indent=1))

    def run(self, arms: Sequence[Recipe]) -> None:
        """Run the rounds that are missing; all arms of a seed before the next, so that finished pairs come early."""
        arms = list({folder_name(arm): arm for arm in arms}.values())
        known = {}  # rounds left
        for place in self.places:
            for arm in arms:
                folder = place.folder / folder_name(arm)
                for seed, copy in existing_copies(folder).items():
                    with copy.reading(wait_s=None) as con:
                        _refuse_other_ranks(con, copy, seed, place.base, self.ranks)
                        known[folder, seed] = _rounds_left(con, place.base, self.rounds)
        for arm in arms:
            if repeats_itself(arm):
                self.reporter.say(
                    f'{arm.name}: every round would repeat the first (training.streams = "seed"), so it runs once'
                )
        runs = [(place, arm, seed) for seed in self.seeds for place in self.places for arm in arms]
        left = [known.get((place.folder / folder_name(arm), seed), self.rounds) for place, arm, seed in runs]
        for number, (place, arm, seed) in enumerate(runs):
            if not left[number]:
                continue
            folder = place.folder / folder_name(arm)
            folder.mkdir(exist_ok=True)
            copy = make_seed_copy(place.start, folder, seed)
            while left[number]:
                where = f" in {place.workspace.path}" if len(self.places) > 1 else ""
                self.reporter.say(
                    f"{arm.name}, seed {seed} ({self.seeds.index(seed) + 1} of {len(self.seeds)}){where}: "
                    f"{counted(left[number], 'round')} to run, {sum(left)} in all"
                )
                # one at a time: a run of several ends at a round that promotes nothing, which a control never does
                run_rounds(copy, 1, arm, ranks=self.ranks, cluster=self.cluster, seed=seed, reporter=self.reporter)
                with copy.reading(wait_s=None) as con:
                    left[number] = _rounds_left(con, place.base, self.rounds)

    def labels(self) -> dict[str, str]:
        """Name the arms by their folders; arms of one name get their hash too."""
        names = self._record().arms
        return {folder: folder if list(names.values()).count(name) > 1 else name for folder, name in names.items()}

    def finished(self, arm_folder: str, label: str) -> list[SeedRun]:
        """Read the finished runs of an arm in all workspaces of the experiment, earlier calls' included."""
        found = []
        for place in self._all_places():
            for seed, copy in existing_copies(place.folder / arm_folder).items():
                with copy.reading(wait_s=None) as con:
                    if not _rounds_left(con, place.base, self.rounds):
                        found.append(read_run(con, copy, label, place.workspace.path, seed, place.base, self.rounds))
        return found

    def _record(self) -> _Record:
        file = self.folder / "experiment.json"
        try:
            return _Record.model_validate_json(file.read_text(encoding="utf-8")) if file.exists() else _Record()
        except ValueError:
            raise RoundError(
                f"{file} is damaged or of another version of catbuilder; remove it, and name all arms and workspaces "
                "again"
            ) from None

    def _all_places(self) -> list[_Place]:
        """List the workspaces of this call and of earlier ones."""
        known = {place.workspace.path.resolve(): place for place in self.places}
        for name in self._record().workspaces:
            path = Path(os.path.normpath(self.places[0].workspace.path.resolve() / name))
            if path not in known:
                start = experiment_folder(Workspace.open(path), self.recipe) / "start" if path.exists() else path
                if start.exists():
                    known[path] = _place(Workspace.open(path), Workspace.open(start))
                else:
                    self.reporter.say(f"note: the copies of {path} are not there any more; their seeds are left out")
        return list(known.values())


def _place(workspace: Workspace, start: Workspace) -> _Place:
    with start.reading() as con:
        return _Place(workspace, start, last_round(con))


def _require_alike(first: Workspace, other: Workspace, recipe: Recipe) -> None:
    if other.config.classes != first.config.classes:
        raise InputError(
            f"{other.path} has the classes {', '.join(other.config.classes)} and {first.path} has "
            f"{', '.join(first.config.classes)}; run experiments on them apart"
        )
    if recipe.sets.target not in other.config.surveys:
        raise ConfigError(
            f"recipe {recipe.name} labels the survey '{recipe.sets.target}', but {other.path} has "
            f"{', '.join(other.config.surveys)}; give another workspace, or set sets.target"
        )


def _refuse_other_ranks(con: Connection, copy: Workspace, seed: int, base: int, ranks: int) -> None:
    """Refuse seeds that were trained with another number of ranks, which changes batch size and learning rate."""
    other = "SELECT ranks FROM rounds WHERE round > ? AND ranks <> ?"
    row = first_row(con, other, [base, ranks])
    if row:
        raise RoundError(
            f"seed {seed} was trained with --np {row[0]} and cannot be compared with seeds of --np {ranks}; "
            f"give --np {row[0]}, or remove {copy.path}"
        )


def _rounds_left(con: Connection, base: int, rounds: int) -> int:
    """Count the rounds that a seed still has to run after those in its copy; 0 if its run has ended early.

    A control, which promotes nothing in any round, does not end by that, unless its rounds would repeat each other.
    """
    last, step, ended = first_row(con, query("rounds/last_round")) or (base, "closed", False)
    if last > base and step == "closed" and ended:
        recipe = read_plan(con, last).recipe
        abandoned = "SELECT 1 FROM steps WHERE round = ? AND details ->> '$.abandoned' = 'true'"
        if recipe.promotion.policy != "none" or repeats_itself(recipe) or first_row(con, abandoned, [last]):
            return 0
    return max(base + rounds - last + (step != "closed"), 0)
