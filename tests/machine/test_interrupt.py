"""Ctrl-C stops a round at the next safe point, a second one at once; nothing is lost either way."""

import json
import os
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import psutil
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


def ctrl_c(catbuilder: CommandLine, process: subprocess.Popen[str], attempt: str, epoch: int, times: int = 1) -> None:
    """What a terminal sends, to the command and to its worker, while an epoch goes on."""
    (worker,) = wait_for(lambda: catbuilder.processes("catbuilder.network.train"), 300, 0.05)
    folder = catbuilder.workspace / "rounds" / "001" / "attempts" / attempt
    wait_for(lambda: begun(folder, epoch), 300, 0.001)
    worker.suspend()  # or it might be further before it hears of anything
    for _ in range(times):
        for member in (process.pid, worker.pid):
            os.kill(member, signal.SIGINT)
        time.sleep(0.3)  # two that come at once are one
    with suppress(psutil.NoSuchProcess):  # a second one does not wait for it
        worker.resume()


def ended(process: subprocess.Popen[str]) -> str:
    out, err = process.communicate(timeout=300)
    assert process.returncode == INTERRUPTED, out + err
    assert err.splitlines()[-1] == "Stopped. What was recorded is kept; run the same command again to continue."
    assert "Traceback" not in err and "Error" not in err
    return err


def test_ctrl_c_waits_for_the_safe_point_and_a_second_one_does_not(catbuilder: CommandLine, first_round: Path) -> None:
    attempts = catbuilder.workspace / "rounds" / "001" / "attempts"
    process = catbuilder.start_round()
    ctrl_c(catbuilder, process, "train-01", 0)
    said = ended(process)
    assert "stopping at the end of this epoch, with its checkpoint (Ctrl-C again to stop at once)" in said
    assert (attempts / "train-01" / "checkpoint-001.safetensors").exists()
    assert not list(attempts.glob("train-01/model*"))

    process = catbuilder.start_round()
    ctrl_c(catbuilder, process, "train-02", 1, times=2)
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
