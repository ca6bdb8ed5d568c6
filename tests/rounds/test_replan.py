"""An unfinished round continues with other processes when --replan asks for it, and the catalogue records that."""

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


def test_training_with_replan_equals_a_round_planned_so_at_first(catbuilder: CommandLine, first_round: Path) -> None:
    process = catbuilder.start_round(np=2)
    wait_for(lambda: list(catbuilder.workspace.glob("rounds/001/attempts/train-01/checkpoint-*")), every_s=0.001)
    process.kill()
    process.wait()
    wait_for(lambda: not catbuilder.processes(), 20.0, 0.1)
    said = catbuilder(*catbuilder.round_arguments(np=1), "--replan")
    assert "training starts again" in said and "continues after" not in said
    assert plans(catbuilder) == [(1, 2, None), (2, 1, "planned")]
    assert_same_contents(catbuilder.workspace, contents(first_round))
    assert not list(catbuilder.workspace.glob("rounds/001/attempts/*/checkpoint-*"))
    catbuilder("check")


def test_scoring_with_replan_uses_the_trained_model(catbuilder: CommandLine, first_round: Path) -> None:
    catbuilder.round(expect=-signal.SIGKILL, CATBUILDER_FAULT="train.after_commit")
    (catbuilder.workspace / "rounds" / "001" / "scores").mkdir()
    left = catbuilder.workspace / "rounds" / "001" / "scores" / "scores-00001.parquet"
    left.write_bytes(b"a shard of the old plan has other rows")
    assert "scoring starts again" in catbuilder(*catbuilder.round_arguments(np=2), "--replan", np=2)
    assert plans(catbuilder) == [(1, 1, None), (2, 2, "trained")]
    assert_same_contents(catbuilder.workspace, contents(first_round))
    catbuilder("export", catbuilder.workspace / "out.fits")
    assert b"RANKS   =                    1" in (catbuilder.workspace / "out.fits").read_bytes()
    catbuilder("check")


def test_replan_without_an_unfinished_round_does_nothing(workspace: Workspace) -> None:
    replan(workspace, 2, 1, Reporter(quiet=True))
    assert rows(workspace, "SELECT * FROM plans") == []
