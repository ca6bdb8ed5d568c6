"""A prepared survey, the real command line, and what a catalogue says in a form that can be compared."""

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from small_survey import build, write_recipe

from catbuilder.catalogue.workspace import Workspace

CATBUILDER = str(Path(sys.executable).with_name("catbuilder"))


class CommandLine:
    """The installed `catbuilder`, run as a person would on one workspace."""

    def __init__(self, workspace: Path, recipe: Path) -> None:
        self.workspace, self.recipe = workspace, recipe
        self.started: list[subprocess.Popen[str]] = []

    def start(self, *arguments: object, np: int = 1, **environment: str) -> subprocess.Popen[str]:
        """Start a command and let it run."""
        process = subprocess.Popen(
            [CATBUILDER, "-w", str(self.workspace), *map(str, arguments)],
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=_hear_ctrl_c if np > 1 else _keep_to_one_core,
        )
        self.started.append(process)
        return process

    def __call__(self, *arguments: object, expect: int = 0, np: int = 1, **environment: str) -> str:
        """Run a command to its end; gives all it wrote, errors last."""
        process = self.start(*arguments, np=np, **environment)
        out, err = process.communicate(timeout=500)
        assert process.returncode == expect, f"{arguments} ended with {process.returncode}:\n{out}{err}"
        return out + err

    def round_arguments(self, np: int = 1, n: int = 1, seed: int = 0) -> tuple[object, ...]:
        return "round", "--n", n, "--recipe", self.recipe, "--np", np, "--seed", seed

    def round(self, np: int = 1, n: int = 1, seed: int = 0, expect: int = 0, **environment: str) -> str:
        """Run rounds with the recipe."""
        return self(*self.round_arguments(np, n, seed), expect=expect, np=np, **environment)

    def start_round(self, np: int = 1, n: int = 1, seed: int = 0, **environment: str) -> subprocess.Popen[str]:
        return self.start(*self.round_arguments(np, n, seed), np=np, **environment)

    def on(self, workspace: Path) -> "CommandLine":
        """The same in another workspace."""
        return CommandLine(workspace, self.recipe)

    def processes(self, module: str = "") -> list[psutil.Process]:
        """Living processes whose command line names the workspace, by default all, else those of a worker module."""
        found = []
        for process in psutil.process_iter():
            try:
                words = process.cmdline()
                alive = process.status() != psutil.STATUS_ZOMBIE
            except psutil.Error:
                continue
            if alive and any(str(self.workspace) in word for word in words) and (not module or module in words):
                found.append(process)
        return found

    def stop(self) -> None:
        for process in self.started:
            process.kill()
            process.communicate()


def _hear_ctrl_c() -> None:
    """A test run in the background of a shell has Ctrl-C ignored, and its children with it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _keep_to_one_core() -> None:
    """One process of a round plans a thread a core, and threads that wait for a busy core make it many times slower.

    Those who run the tests side by side take the cores in turn, or one core would have all the work.
    """
    _hear_ctrl_c()
    cores, runner = sorted(os.sched_getaffinity(0)), os.environ.get("PYTEST_XDIST_WORKER", "gw1")
    os.sched_setaffinity(0, [cores[int(runner.removeprefix("gw")) % len(cores)]])


def wait_for(condition: Callable[[], Any], timeout_s: float = 120.0, every_s: float = 0.005) -> Any:
    """The first true value that the condition gives."""
    end = time.monotonic() + timeout_s
    while not (value := condition()):
        assert time.monotonic() < end, f"waited {timeout_s:.0f} s in vain"
        time.sleep(every_s)
    return value


def rows(workspace: Workspace | Path, sql: str, parameters: list[object] | None = None) -> list[tuple[Any, ...]]:
    """What a query gives, floats as their exact hexadecimal text, so that equal means equal to the last bit."""
    if isinstance(workspace, Path):
        workspace = Workspace.open(workspace)
    with workspace.reading() as con:
        found = con.execute(sql, parameters or []).fetchall()
    return [tuple(value.hex() if isinstance(value, float) else value for value in row) for row in found]


def contents(workspace: Workspace | Path) -> dict[str, list[tuple[Any, ...]]]:
    """Everything that rounds have made, without times and recording numbers."""
    queries = {
        "standing labels": "SELECT * FROM standing_labels_at(2147483647) ORDER BY survey, object_id",
        "label events": "SELECT * EXCLUDE (run, recorded_at) FROM labels ORDER BY event",
        "predictions": "SELECT * EXCLUDE (run) FROM predictions ORDER BY model, survey, object_id",
        "metrics": "SELECT * EXCLUDE (run) FROM metrics ORDER BY ALL",
        "training": "SELECT * EXCLUDE (run) FROM training ORDER BY ALL",
        "steps": "SELECT round, step, details FROM steps ORDER BY run",
        "models": "SELECT model, sha256, epochs, best_epoch, validation_loss FROM models ORDER BY model",
        "exclusions": "SELECT * EXCLUDE (run) FROM exclusions ORDER BY ALL",
    }
    return {name: rows(workspace, sql) for name, sql in queries.items()}


def assert_same_contents(workspace: Workspace | Path, expected: dict[str, list[tuple[Any, ...]]]) -> None:
    found = contents(workspace)
    for name, there in expected.items():
        assert found[name] == there, f"{name} differ"


@pytest.fixture(scope="session")
def tiny_recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recipe of two epochs for the smallest network of timm, as a TOML file."""
    return write_recipe(tmp_path_factory.mktemp("recipe") / "tiny.toml")


MadeOnce = Callable[[str, Callable[[Path], object]], Path]

# Files of tests that take minutes are begun first, so that none of them is left to one worker at the end.
LONGEST = (
    "test_kill.py", "test_disk_faults.py", "test_rounds.py", "test_certified_rounds.py", "test_hosts.py",
    "test_determinism.py", "test_real_run.py", "test_concurrency.py", "test_poison.py", "test_experiment.py",
    "test_ensemble.py", "test_interrupt.py", "test_replan.py", "test_backup.py", "test_places.py",
)  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files of `LONGEST` first; with one worker too, where it does no harm."""
    place = {name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(item.path.name, len(place)))


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> MadeOnce:
    """Makes a folder by a function of it, once for all processes that share these tests; nobody may change it."""
    base = tmp_path_factory.getbasetemp()
    root = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base

    def make_once(name: str, make: Callable[[Path], object]) -> Path:
        place, ready = root / name, root / f"{name}.ready"
        with open(root / f"{name}.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not ready.exists():
                shutil.rmtree(place, ignore_errors=True)
                make(place)
                ready.touch()
        return place

    return make_once


def after_round(workspace: Path, place: Path, recipe: Path, np: int = 1) -> None:
    """A copy of a workspace at `place`, after one more round."""
    command = CommandLine(Path(shutil.copytree(workspace, place)), recipe)
    try:
        command.round(np=np)
    finally:
        command.stop()


@pytest.fixture(scope="session")
def small_survey(made_once: MadeOnce) -> Path:
    """A workspace with SDSS training, HP in both surveys, DES calibration and pool; copy it, do not change it."""
    return made_once("survey", build) / "ws"


@pytest.fixture(scope="session")
def copy_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], Path]:
    """Copies a workspace to a folder of its own."""

    def copy(workspace: Path) -> Path:
        return Path(shutil.copytree(workspace, tmp_path_factory.mktemp("copy") / "ws"))

    return copy


@pytest.fixture
def workspace(small_survey: Path, copy_of: Callable[[Path], Path]) -> Workspace:
    """A copy of the small survey."""
    return Workspace.open(copy_of(small_survey))


@pytest.fixture
def catbuilder(workspace: Workspace, tiny_recipe: Path) -> Iterator[CommandLine]:
    """The command line on that copy; what it started and did not end is killed afterwards."""
    command = CommandLine(workspace.path, tiny_recipe)
    yield command
    command.stop()


@pytest.fixture(scope="session")
def undisturbed(small_survey: Path, made_once: MadeOnce, tiny_recipe: Path) -> dict[str, list[tuple[Any, ...]]]:
    """What one undisturbed round of two processes makes of the small survey."""
    return contents(made_once("undisturbed", lambda place: after_round(small_survey, place, tiny_recipe, np=2)))


@pytest.fixture(scope="session")
def first_round(small_survey: Path, made_once: MadeOnce, tiny_recipe: Path) -> Path:
    """The small survey after one round of one process; copy it, do not change it."""
    return made_once("first-round", lambda place: after_round(small_survey, place, tiny_recipe))


@pytest.fixture(scope="session")
def second_round(first_round: Path, made_once: MadeOnce, tiny_recipe: Path) -> Path:
    """The same after a second round, by a second command."""
    return made_once("second-round", lambda place: after_round(first_round, place, tiny_recipe))
