"""The same survey, recipe, seed and number of processes give the same catalogue, bit for bit.

For two processes `tests/machine/test_kill.py` shows it, where every run was also killed on the way.
"""

import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from support.command_line import CommandLine
from support.contents import assert_same_contents, contents
from support.needs import needs_horovod

pytestmark = pytest.mark.slow


def test_one_process_gives_the_same_catalogue_after_kills_and_in_one_or_two_commands(
    catbuilder: CommandLine, second_round: Path
) -> None:
    """Two rounds, which a run that was killed after its last commit does not take for reason to begin a third."""
    run = catbuilder.round_arguments(n=2)
    for point in ("train.after_commit", "round-2-closed.logged"):
        catbuilder(*run, expect=-signal.SIGKILL, CATBUILDER_FAULT=point)
    assert "the last run finished its rounds, up to round 2, but was killed before it could report them" in catbuilder(
        *run
    )
    assert_same_contents(catbuilder.workspace, contents(second_round))


@needs_horovod
def test_four_processes_twice(catbuilder: CommandLine, copy_of: Callable[[Path], Path]) -> None:
    """The training: ranks add up their gradients. Scoring knows nothing of other processes, and is compared above."""
    again = catbuilder.on(copy_of(catbuilder.workspace))
    for command in (catbuilder, again):
        command.round(np=4, expect=-signal.SIGKILL, CATBUILDER_FAULT="train.after_commit")
    found = contents(catbuilder.workspace)
    assert found["models"] and found["training"]
    assert_same_contents(again.workspace, found)


def test_another_seed_gives_other_confidences(catbuilder: CommandLine, first_round: Path) -> None:
    catbuilder.round(seed=1)
    here, there = contents(catbuilder.workspace), contents(first_round)
    assert here["training"] == there["training"], "the seed does not choose the objects"
    assert here["models"] != there["models"] and here["predictions"] != there["predictions"]
