"""An unfinished round goes on by other processes when it is asked to, and the catalogue says so."""

import signal
from pathlib import Path
from typing import Any

import pytest
from support.command_line import CommandLine, wait_for
from support.contents import assert_same_contents, contents, rows
from support.needs import needs_horovod

from catbuilder.catalogue.workspace import Workspace
from catbuilder.core.progress import Reporter
from catbuilder.rounds.replan import replan

pytestmark = [
    pytest.mark.slow,
    needs_horovod,
]


def plans(catbuilder: CommandLine) -> list[tuple[Any, ...]]:
    return rows(catbuilder.workspace, "SELECT number, ranks, after_step FROM plans ORDER BY number")


def test_a_training_planned_anew_ends_as_if_it_had_been_planned_so_at_first(
    catbuilder: CommandLine, first_round: Path
) -> None:
    process = catbuilder.start_round(np=2)
    wait_for(lambda: list(catbuilder.workspace.glob("rounds/001/attempts/train-01/checkpoint-*")), every_s=0.001)
    process.kill()
    process.wait()
    wait_for(lambda: not catbuilder.processes(), 20.0, 0.1)
    said = catbuilder(*catbuilder.round_arguments(np=1), "--replan")
    assert "training begins anew" in said and "goes on after" not in said
    assert plans(catbuilder) == [(1, 2, None), (2, 1, "planned")]
    assert_same_contents(catbuilder.workspace, contents(first_round))
    assert not list(catbuilder.workspace.glob("rounds/001/attempts/*/checkpoint-*"))
    catbuilder("check")


def test_scoring_goes_on_by_a_new_plan_with_the_model_that_is_there(catbuilder: CommandLine, first_round: Path) -> None:
    catbuilder.round(expect=-signal.SIGKILL, CATBUILDER_FAULT="train.after_commit")
    (catbuilder.workspace / "rounds" / "001" / "scores").mkdir()
    left = catbuilder.workspace / "rounds" / "001" / "scores" / "scores-00001.parquet"
    left.write_bytes(b"a shard of the old plan has other rows")
    assert "scoring begins anew" in catbuilder(*catbuilder.round_arguments(np=2), "--replan", np=2)
    assert plans(catbuilder) == [(1, 1, None), (2, 2, "trained")]
    assert_same_contents(catbuilder.workspace, contents(first_round))
    catbuilder("export", catbuilder.workspace / "out.fits")
    assert b"RANKS   =                    1" in (catbuilder.workspace / "out.fits").read_bytes()
    catbuilder("check")


def test_nothing_to_plan_anew_is_no_fault(workspace: Workspace) -> None:
    replan(workspace, 2, 1, "", Reporter(quiet=True))
    assert rows(workspace, "SELECT * FROM plans") == []
