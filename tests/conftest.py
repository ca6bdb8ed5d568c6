"""A prepared survey, the real command line, and what a catalogue says in a form that can be compared."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import support.made_once
from support.command_line import CommandLine
from support.contents import MadeOnce, after_round, contents
from support.made_once import share_under
from support.measured_times import TimesRecorder, is_quick, listed_tests
from support.small_survey import build, write_recipe
from support.starts_processes import starts_processes

from catbuilder.catalogue.workspace import Workspace


@pytest.fixture(scope="session")
def tiny_recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recipe of two epochs for the smallest network of timm, as a TOML file."""
    return write_recipe(tmp_path_factory.mktemp("recipe") / "tiny.toml")


# Files of tests that take minutes are begun first, so that none of them is left to one worker at the end.
LONGEST = (
    "test_cluster.py", "test_kill.py", "test_disk_faults.py", "test_run.py", "test_certified_rounds.py",
    "test_determinism.py", "test_real_run.py", "test_concurrency.py", "test_wrong_promotions.py", "test_experiment.py",
    "test_cases.py", "test_training.py", "test_interrupt.py", "test_replan.py", "test_backup.py",
    "test_moved_workspace.py",
)  # fmt: skip
URGENT = LONGEST[0]  # its processes come first: nodes that wait for a core do not answer Ray in time


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--quick", action="store_true", help="leave out what is slow, starts processes, or is in times.txt"
    )
    parser.addoption("--record-times", action="store_true", help="write tests/times.txt anew")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--record-times") and not hasattr(config, "workerinput"):
        config.pluginmanager.register(TimesRecorder())


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark what starts processes, and put the files of `LONGEST` first; with one worker too, where it does no harm."""
    for item in items:
        if isinstance(item, pytest.Function) and starts_processes(item):
            item.add_marker(pytest.mark.process)
    place = {name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(item.path.name, len(place)))
    if config.getoption("--quick"):
        listed = listed_tests()
        items[:] = [item for item in items if is_quick(item, listed)]


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Let all processes of tests that run side by side, but those of `URGENT`, wait for a core when it is scarce."""
    if hasattr(item.config, "workerinput") and item.path.name != URGENT and os.nice(0) < 10:
        os.nice(10)


@pytest.fixture(scope="session", autouse=True)
def _shared(tmp_path_factory: pytest.TempPathFactory) -> None:
    share_under(tmp_path_factory)


@pytest.fixture(scope="session")
def made_once() -> MadeOnce:
    """Makes a folder by a function of it, once for all processes that share these tests; nobody may change it."""
    return support.made_once.made_once


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
