"""Follow what workers do, by the JSON lines that they write: training, scoring, and the state of the newest round.

The catalogue is not opened. The coordinator follows its own workers with `TrainingLog` and `objects_scored`; the web
page reads the newest round with `read_progress`.
"""

import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from catbuilder.catalogue.workspace import Workspace
from catbuilder.core.progress import Reporter, Update

_TAIL = 65_536  # bytes read at the end of a log: hundreds of lines
_EPOCHS = 200  # of the newest training, returned at most


@dataclass(frozen=True)
class RoundProgress:
    """What the newest round is doing."""

    round: int
    running: bool  # a process of this machine holds the workspace for a round
    doing: str  # 'training', 'scoring', or '' before either
    done: int  # steps of the training, or objects scored
    of: int  # 0 if it is not known
    heard_s: float  # seconds since a worker last wrote
    speed: str  # as text: images a second, and the loss
    epochs: tuple[dict[str, Any], ...]  # epoch, loss, validation_loss of the newest training


class TrainingLog:
    """Follow the log of rank 0 while it trains: move the progress bar with each step, print a line for each epoch.

    Parameters
    ----------
    title : what trains, in messages: 'round 3', or 'round 3, network 2 of 5'
    """

    def __init__(self, path: Path, update: Update, reporter: Reporter, title: str) -> None:
        self.path, self.update, self.reporter, self.title = path, update, reporter, title
        self._read = 0

    def follow(self) -> None:
        """Report what was written since the last call."""
        if not self.path.exists():
            return
        with open(self.path, encoding="utf-8") as file:
            file.seek(self._read)
            while line := file.readline():
                if not line.endswith("\n"):
                    break  # half written
                self._read = file.tell()
                self._report(json.loads(line))

    def _report(self, event: dict[str, Any]) -> None:
        if event["event"] == "step":
            self.update(*_steps(event))
        elif event["event"] == "epoch":
            loss = event["validation_loss"]
            validation = "" if loss is None else f", validation loss {loss:.4f}"
            self.reporter.say(
                f"{self.title}: epoch {event['epoch'] + 1} of {event['epochs']} at most, "
                f"training loss {event['loss']:.4f}{validation}"
            )


def objects_scored(attempt: Path) -> int:
    """Count the objects that the processes of an attempt have scored so far."""
    done: dict[int, int] = {}  # by share: a restarted process continues the share of the dead one
    for log in attempt.glob("score-*.jsonl"):
        for event in _events(log):
            if event["event"] == "progress":
                done[event["share"]] = max(event["done"], done.get(event["share"], 0))
    return sum(done.values())


def read_progress(workspace: Workspace) -> RoundProgress | None:
    """Read the progress of the newest round from the logs of its workers; None before the first round."""
    rounds = sorted(path for path in (workspace.path / "rounds").glob("[0-9]*") if path.is_dir())
    if not rounds:
        return None
    folder = rounds[-1]
    training = _newest(folder.glob("attempts/*/train.jsonl"))
    scoring = _newest(folder.glob("attempts/*/score-*.jsonl"))
    epochs = tuple(event for event in _events(training) if event["event"] == "epoch")[-_EPOCHS:]
    newest = max((log for log in (training, scoring) if log), key=_changed, default=None)
    doing, done, of, speed = "", 0, 0, ""
    if newest is not None and newest == scoring:
        doing, done, of = "scoring", objects_scored(newest.parent), _objects_to_score(newest.parent)
    elif newest is not None:
        doing, (done, of, speed) = "training", _last_step(newest)
    heard = max(0.0, time.time() - _changed(newest)) if newest else 0.0
    return RoundProgress(int(folder.name), _is_running(workspace), doing, done, of, heard, speed, epochs)


def _last_step(log: Path) -> tuple[int, int, str]:
    """Steps done, steps in all, and the speed as text."""
    for event in reversed(list(_events(log))):
        if event["event"] == "step":
            return *_steps(event), f"{event['images_per_second']:.0f} images/s, loss {event['loss']:.4f}"
    return 0, 0, ""


def _steps(event: dict[str, Any]) -> tuple[int, int]:
    """Steps done and steps in all."""
    return event["epoch"] * event["steps"] + event["step"], event["epochs"] * event["steps"]


def _objects_to_score(attempt: Path) -> int:
    jobs = [json.loads(job.read_text(encoding="utf-8")) for job in attempt.glob("job-*.json")]
    return sum(end - first for job in jobs for _, first, end in job["shards"])


def _is_running(workspace: Workspace) -> bool:
    """Check whether a living process has the lock file open; taking the lock could make a starting round fail."""
    lock = workspace.path / "round.lock"
    try:
        words = lock.read_text(encoding="utf-8").split()
        process = psutil.Process(int(words[1]))
        return any(os.path.samefile(file.path, lock) for file in process.open_files() if os.path.exists(file.path))
    except (OSError, IndexError, ValueError, psutil.Error):
        return False


def _events(log: Path | None) -> Iterator[dict[str, Any]]:
    """Read the complete JSON lines near the end of a log."""
    if log is None:
        return
    try:
        with open(log, "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - _TAIL))
            lines = file.read().split(b"\n")
    except OSError:  # collected or removed since it was listed
        return
    for line in lines:
        try:
            event = json.loads(line)
        except ValueError:
            continue  # cut off at the beginning, or half written at the end
        if isinstance(event, dict) and "event" in event:
            yield event


def _newest(logs: Iterator[Path]) -> Path | None:
    return max(logs, key=_changed, default=None)


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
