"""Copy a workspace for an experiment: one start for all, and from it a copy for each arm and seed.

In one catalogue a seed would build on the promotions of another. The price is disk: a catalogue and the models of its
rounds for each copy. Stamps, which are most of a workspace, are linked. All copies come from one start, so they can be
compared no matter when each was run.
"""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from catbuilder.catalogue.backup import copy_catalogue
from catbuilder.catalogue.connection import Connection, fetch_number
from catbuilder.catalogue.latest_round_and_run import last_recording
from catbuilder.catalogue.round_records import open_plan
from catbuilder.catalogue.workspace import Workspace
from catbuilder.core.errors import InputError, RoundError
from catbuilder.core.files import exclusive_lock, sync_folder
from catbuilder.core.progress import Reporter
from catbuilder.core.recipe import Recipe
from catbuilder.core.resources import query
from catbuilder.rounds.rollback import rollback


def experiment_folder(workspace: Workspace, recipe: Recipe) -> Path:
    """Return the folder of a recipe's recursion; a recipe with one setting changed has another folder."""
    return workspace.path / "experiments" / f"recursion-{folder_name(recipe)}"


def folder_name(recipe: Recipe) -> str:
    """Name the folder of an arm by its recipe's name and hash."""
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", recipe.name)[:80]
    return f"{name}-{recipe.sha256[:8]}"


def make_start_copy(workspace: Workspace, recipe: Recipe, reporter: Reporter) -> Workspace:
    """Copy the workspace, with every promotion taken back, as the start of all copies; an existing one is used.

    Raises
    ------
    RoundError
        A round of the workspace is unfinished, or an older catbuilder began the experiment.
    InputError
        No test set has known classes.
    """
    folder = experiment_folder(workspace, recipe)
    copy = folder / "start"
    _refuse_older_layout(folder)
    if not copy.exists():
        with workspace.reading() as con:
            _require_comparable(con, workspace)
        folder.mkdir(parents=True, exist_ok=True)
        with experiment_lock(folder):
            if not copy.exists():  # another process may have made it before it released the lock
                with _filled_folder(copy) as draft:
                    # Recorded even if there is nothing to take back: the copy is always one recording ahead.
                    rollback(_copy(workspace, draft), 0)
    start = Workspace.open(copy)
    _report_if_outdated(workspace, start, reporter)
    return start


def make_seed_copy(start: Workspace, folder: Path, seed: int) -> Workspace:
    """Copy the start for the rounds of one seed; an existing copy is used.

    Parameters
    ----------
    folder : of the arm
    """
    copy = seed_folder(folder, seed)
    if not copy.exists():
        with _filled_folder(copy) as draft:
            _copy(start, draft)
    return Workspace.open(copy)


def seed_folder(folder: Path, seed: int) -> Path:
    """Return the folder of a seed's copy in that of an arm."""
    return folder / f"seed-{seed:02d}"


def existing_copies(folder: Path) -> dict[int, Workspace]:
    """Open the copies that an arm has, by seed."""
    names = (copy.name.removeprefix("seed-") for copy in folder.glob("seed-*"))
    return {seed: Workspace.open(seed_folder(folder, seed)) for seed in sorted(int(n) for n in names if n.isdecimal())}


def experiment_lock(folder: Path) -> AbstractContextManager[None]:
    """Hold the lock of an experiment, so that nobody runs the same one at once."""
    return exclusive_lock(folder / "experiment.lock", f"the experiment {folder} is under way")


def _refuse_older_layout(folder: Path) -> None:
    if any(folder.glob("seed-*")):
        raise RoundError(
            f"{folder} was made by an older catbuilder, which ran no control; move the folder elsewhere or remove it, "
            "and give the same command again"
        )


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
