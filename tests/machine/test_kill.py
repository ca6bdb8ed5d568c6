"""A round killed at any point and started again with the same command ends like one that was never killed."""

import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from support.command_line import CommandLine, wait_for
from support.contents import assert_same_contents, contents, rows
from support.disk_faults import stopped
from support.needs import needs_horovod
from support.round_state import epoch_begun, last_steps, models

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts" / "study"))
import kills

pytestmark = [
    pytest.mark.slow,
    needs_horovod,
]

Contents = dict[str, list[tuple[Any, ...]]]


@pytest.fixture(scope="module")
def trained(small_survey: Path, copy_of: Callable[[Path], Path], tiny_recipe: Path) -> Path:
    """A round of two processes, killed when its training was recorded."""
    command = CommandLine(copy_of(small_survey), tiny_recipe)
    command.round(np=2, expect=-signal.SIGKILL, CATBUILDER_FAULT="train.after_commit")
    return command.workspace


@pytest.fixture
def on_trained(trained: Path, copy_of: Callable[[Path], Path], tiny_recipe: Path) -> Iterator[CommandLine]:
    """The command line on a copy of that."""
    command = CommandLine(copy_of(trained), tiny_recipe)
    yield command
    command.stop()


def finish_and_compare(catbuilder: CommandLine, undisturbed: Contents, np: int = 2) -> str:
    """Give the same command again; the catalogue must be the undisturbed one and in order."""
    said = catbuilder.round(np=np)
    assert_same_contents(catbuilder.workspace, undisturbed)
    catbuilder("check")
    return said


def assert_nothing_runs(catbuilder: CommandLine, within_s: float = 20.0) -> None:
    """No process of the killed run is left. A worker that was still importing notices once it has imported."""
    wait_for(lambda: not catbuilder.processes(), within_s, 0.1)


def workers(catbuilder: CommandLine, module: str) -> list[psutil.Process]:
    """The two worker processes, once both are there."""
    found = catbuilder.processes(module)
    return found if len(found) == 2 else []


def test_a_rank_and_then_the_coordinator_killed_in_training(catbuilder: CommandLine, undisturbed: Contents) -> None:
    """The rank's death ends the command with one error; the coordinator's leaves no process behind."""
    process = catbuilder.start_round(np=2)
    victim = wait_for(lambda: workers(catbuilder, "catbuilder.network.train"), every_s=0.05)[-1]
    wait_for(lambda: epoch_begun(catbuilder.workspace, 1))
    victim.kill()
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    (error,) = [line for line in err.splitlines() if line.startswith("Error")]
    assert "a worker of train was killed by signal 9" in error and "give the same command again" in error
    assert err.endswith(error + "\n") and "Traceback" not in err
    assert_nothing_runs(catbuilder)
    assert not models(catbuilder.workspace), "killed too late to prove anything"

    process = catbuilder.start_round(np=2)
    wait_for(lambda: epoch_begun(catbuilder.workspace, 1, attempt=2))
    time.sleep(random.uniform(0, 0.1))
    process.kill()
    _, err = process.communicate()
    assert "training continues after" in err
    assert_nothing_runs(catbuilder)
    assert not models(catbuilder.workspace), "killed too late to prove anything"
    assert last_steps(catbuilder) == ["planned"]
    assert "training continues after" in finish_and_compare(catbuilder, undisturbed)


def test_coordinator_killed_at_the_first_checkpoint_and_before_the_trained_model_is_recorded(
    catbuilder: CommandLine, first_round: Path
) -> None:
    process = catbuilder.start_round()
    wait_for(lambda: list(catbuilder.workspace.glob("rounds/001/attempts/train-01/checkpoint-*")), every_s=0.001)
    process.kill()
    process.wait()
    assert_nothing_runs(catbuilder)
    assert not models(catbuilder.workspace), "killed too late to prove anything"
    catbuilder.round(expect=-signal.SIGKILL, CATBUILDER_FAULT="train.before_commit")
    assert_nothing_runs(catbuilder)
    assert last_steps(catbuilder) == ["planned"]
    finish_and_compare(catbuilder, contents(first_round), np=1)
    attempts = list(catbuilder.workspace.glob("rounds/001/attempts/train-*"))
    assert len(attempts) == 2, "what was trained is not trained again"


def test_a_worker_killed_while_it_scores_is_started_again_alone(on_trained: CommandLine, undisturbed: Contents) -> None:
    process = on_trained.start_round(np=2)
    logs = wait_for(lambda: list(on_trained.workspace.glob("rounds/001/attempts/score-01/score-*.jsonl")))
    victim = psutil.Process(int(logs[0].stem.removeprefix("score-")))
    wait_for(lambda: "progress" in logs[0].read_text(), every_s=0.001)
    victim.kill()
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, out + err
    assert not list(on_trained.workspace.glob("rounds/001/attempts/score-02")), "it was one attempt"
    logs = list(on_trained.workspace.glob("rounds/001/attempts/score-01/score-*.jsonl"))
    ends = [log for log in logs if '"event": "end"' in log.read_text()]
    assert (len(logs), len(ends)) == (3, 2), "three processes, of which two came to their end"
    assert_same_contents(on_trained.workspace, undisturbed)
    on_trained("check")


def score_logs(catbuilder: CommandLine) -> list[Path]:
    return list(catbuilder.workspace.glob("rounds/001/attempts/score-*/score-*.jsonl"))


def test_coordinator_killed_while_workers_score_and_at_every_recording_in_turn(
    on_trained: CommandLine, undisturbed: Contents
) -> None:
    """Then just before, inside and just after each commit, one after the other, each time going on from the last."""
    process = on_trained.start_round(np=2)
    wait_for(lambda: any("progress" in log.read_text() for log in score_logs(on_trained)), every_s=0.001)
    process.kill()
    process.wait()
    assert_nothing_runs(on_trained)
    recorded = ["planned", "trained"]
    assert last_steps(on_trained) == recorded
    for point in (
        "score.before_commit", "decide.before_commit", "decide.before_commit:hold", "decide.after_commit",
        "evaluate.before_commit", "evaluate.after_commit",
    ):  # fmt: skip
        killed(on_trained, point)
        assert_nothing_runs(on_trained)
        step = {"score": "scored", "decide": "decided", "evaluate": "evaluated"}[point.split(".")[0]]
        if point == "decide.before_commit":
            recorded.append("scored")  # the leg before was killed just short of it
        if point.endswith("after_commit"):
            recorded.append(step)
        assert last_steps(on_trained) == recorded, point
        assert len(rows(on_trained.workspace, "SELECT * FROM metrics")) == (
            len(undisturbed["metrics"]) if "evaluated" in recorded else 0
        )
    finish_and_compare(on_trained, undisturbed)


def killed(catbuilder: CommandLine, point: str) -> None:
    """Let the command kill itself at a point, or stop there inside the transaction and kill it from outside."""
    process = catbuilder.start_round(np=2, CATBUILDER_FAULT=point)
    if point.endswith(":hold"):
        wait_for(lambda: stopped(process.pid))
        process.kill()
    out, err = process.communicate(timeout=300)
    assert process.returncode == -signal.SIGKILL, out + err


def test_the_undisturbed_round_promotes_something(undisturbed: Contents) -> None:
    """Or the comparisons above would compare nothing."""
    promoted = [event for event in undisturbed["label events"] if "promoted" in event]
    assert promoted and undisturbed["metrics"] and len(undisturbed["models"]) == 1
    assert len(undisturbed["predictions"]) > 200


def test_the_kill_study_finds_no_difference_in_a_short_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Random kills of one round, as `scripts/study/kills.py` does them by the hundred for docs/reliability.md.

    They are done here, where the rounds are forks; then the command itself tells what its folder has.
    """
    arguments = ["--rounds", "1", "--kills", "1", "--runs", "1", "--folder", str(tmp_path / "study")]
    monkeypatch.setattr(sys, "argv", [kills.__file__, *arguments])
    code = kills.main()
    said = capsys.readouterr().out
    assert code == 0 and "random run 1: 1 kills" in said, said
    command = [sys.executable, kills.__file__, *arguments, "--resume"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    last = done.stdout.splitlines()[-1]
    assert last == said.splitlines()[-1]
    assert re.fullmatch(
        r"1 random kills and 0 kills at fault points in 1 runs: 0 differences, 0 catalogues that did not open, "
        "0 hangs, 0 times processes left over",
        last,
    ), last
