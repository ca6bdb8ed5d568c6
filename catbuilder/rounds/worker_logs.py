"""What a round is doing right now, read from the files that its workers write; the catalogue is not opened.

For whoever looks on while it trains. The coordinator itself follows its workers through `trainlog` and `scoring`.
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

_TAIL = 65_536  # bytes at the end of a log that are read: hundreds of lines
_EPOCHS = 200  # of the newest training that are shown at most


@dataclass(frozen=True)
class Watched:
    """The newest work of the newest round."""

    round: int
    running: bool  # a process of this machine holds the workspace for a round
    doing: str  # 'training', 'scoring' or '' before either
    done: int  # steps of the training, or objects scored
    of: int  # 0 where it is not known
    heard_s: float  # seconds since a worker last wrote
    speed: str  # in words
    epochs: tuple[dict[str, Any], ...]  # epoch, loss, validation_loss of the newest training


def watch(workspace: Workspace) -> Watched | None:
    """The newest round's work as its files tell it; None before the first round."""
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
        doing, (done, of) = "scoring", _scored(newest.parent)
    elif newest is not None:
        doing, (done, of, speed) = "training", _trained(newest)
    heard = max(0.0, time.time() - _changed(newest)) if newest else 0.0
    return Watched(int(folder.name), _held(workspace), doing, done, of, heard, speed, epochs)


def _trained(log: Path) -> tuple[int, int, str]:
    for event in reversed(list(_events(log))):
        if event["event"] == "step":
            done, of = event["epoch"] * event["steps"] + event["step"], event["epochs"] * event["steps"]
            return done, of, f"{event['images_per_second']:.0f} images/s, loss {event['loss']:.4f}"
    return 0, 0, ""


def _scored(attempt: Path) -> tuple[int, int]:
    """Objects that the attempt's processes have scored, and how many they are to score."""
    done: dict[int, int] = {}
    for log in attempt.glob("score-*.jsonl"):
        for event in _events(log):
            if event["event"] == "progress":
                done[event["share"]] = max(event["done"], done.get(event["share"], 0))
    jobs = [json.loads(job.read_text(encoding="utf-8")) for job in attempt.glob("job-*.json")]
    return sum(done.values()), sum(end - first for job in jobs for _, first, end in job["shards"])


def _held(workspace: Workspace) -> bool:
    """Whether a living process has the round's lock file open; the lock is not tried, since a round could meet that."""
    lock = workspace.path / "round.lock"
    try:
        words = lock.read_text(encoding="utf-8").split()
        process = psutil.Process(int(words[1]))
        return any(os.path.samefile(file.path, lock) for file in process.open_files() if os.path.exists(file.path))
    except (OSError, IndexError, ValueError, psutil.Error):
        return False


def _events(log: Path | None) -> Iterator[dict[str, Any]]:
    """Whole JSON lines near the end of a log."""
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


def objects_scored(attempt: Path) -> int:
    """Objects scored so far, from the last line of each process's log of progress."""
    done: dict[int, int] = {}  # by share: a process that was started again goes on with that of the dead one
    for log in attempt.glob("score-*.jsonl"):
        for line in reversed(log.read_text(encoding="utf-8").splitlines()):
            try:
                event = json.loads(line)
            except ValueError:
                continue  # the last line may be half written
            if event["event"] == "progress":
                done[event["share"]] = max(event["done"], done.get(event["share"], 0))
                break
    return sum(done.values())


class TrainLog:
    """Follows the JSON lines of rank 0 while it trains: a bar by steps, a line by epoch.

    Parameters
    ----------
    called : what trains, as a person reads it: 'round 3', or 'round 3, network 2 of 5'
    """

    def __init__(self, path: Path, update: Update, reporter: Reporter, called: str) -> None:
        self.path, self.update, self.reporter, self.called = path, update, reporter, called
        self._read = 0

    def follow(self) -> None:
        """Tell what has been written since the last call."""
        if not self.path.exists():
            return
        with open(self.path, encoding="utf-8") as file:
            file.seek(self._read)
            while line := file.readline():
                if not line.endswith("\n"):
                    break  # half written
                self._read = file.tell()
                self._tell(json.loads(line))

    def _tell(self, event: dict[str, Any]) -> None:
        if event["event"] == "step":
            self.update(event["epoch"] * event["steps"] + event["step"], event["epochs"] * event["steps"])
        elif event["event"] == "epoch":
            loss = event["validation_loss"]
            judged = "" if loss is None else f", validation loss {loss:.4f}"
            self.reporter.say(
                f"{self.called}: epoch {event['epoch'] + 1} of {event['epochs']} at most, "
                f"training loss {event['loss']:.4f}{judged}"
            )
