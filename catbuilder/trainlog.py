"""What a training worker writes to `train.jsonl`, followed by the coordinator for its progress bar."""

import json
from pathlib import Path
from typing import Any

from catbuilder.core.progress import Reporter, Update


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
