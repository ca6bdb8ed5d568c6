"""Ctrl-C stops a round at the next safe point, a second one at once; nothing is lost either way."""

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest
from support.command_line import CommandLine, wait_for
from support.contents import assert_same_contents, contents, rows
from support.disk_faults import stopped

pytestmark = pytest.mark.slow
INTERRUPTED = 130


def begun(attempt: Path, epoch: int) -> bool:
    """Whether an attempt has made its first step of an epoch (counted from 0)."""
    log = attempt / "train.jsonl"
    lines = [line for line in log.read_text().splitlines(keepends=True) if line.endswith("\n")] if log.exists() else []
    return any(event["event"] == "step" and event["epoch"] == epoch for event in map(json.loads, lines))


def ctrl_c(catbuilder: CommandLine, process: subprocess.Popen[str]) -> None:
    """What a terminal sends: to the command and to every process of its group."""
    for member in (process.pid, *(worker.pid for worker in catbuilder.processes("catbuilder.network.train"))):
        os.kill(member, signal.SIGINT)


def ended(process: subprocess.Popen[str]) -> str:
    out, err = process.communicate(timeout=300)
    assert process.returncode == INTERRUPTED, out + err
    assert err.splitlines()[-1] == "Stopped. What was recorded is kept; run the same command again to continue."
    assert "Traceback" not in err and "Error" not in err
    return err


def test_ctrl_c_waits_for_the_safe_point_and_a_second_one_does_not(catbuilder: CommandLine, first_round: Path) -> None:
    catbuilder.forked = False  # imports give the time to press Ctrl-C in a certain epoch
    attempts = catbuilder.workspace / "rounds" / "001" / "attempts"
    process = catbuilder.start_round()
    wait_for(lambda: begun(attempts / "train-01", 0), 300)
    ctrl_c(catbuilder, process)
    said = ended(process)
    assert "stopping at the end of this epoch, with its checkpoint (Ctrl-C again to stop at once)" in said
    assert (attempts / "train-01" / "checkpoint-001.safetensors").exists()
    assert not list(attempts.glob("train-01/model*"))

    process = catbuilder.start_round()
    wait_for(lambda: begun(attempts / "train-02", 1), 300)
    ctrl_c(catbuilder, process)
    ctrl_c(catbuilder, process)
    assert "stopping at the end of this epoch" in ended(process)
    assert not list(attempts.glob("train-02/model*"))

    process = catbuilder.start_round(CATBUILDER_FAULT="round-1-trained.before_commit:hold")
    wait_for(lambda: stopped(process.pid), 300)
    os.kill(process.pid, signal.SIGINT)
    os.kill(process.pid, signal.SIGCONT)
    assert "stopping once this step is recorded" in ended(process)
    assert rows(catbuilder.workspace, "SELECT step FROM steps ORDER BY run") == [("planned",), ("trained",)]
    assert not catbuilder.processes()

    catbuilder.round()
    assert_same_contents(catbuilder.workspace, contents(first_round))
