"""Start the workers of one host, and stop them when the coordinator ends or falls silent.

ssh without a terminal tells nobody that its client has died, and a cut network tells neither side: ranks would train
on and on. So the starter listens: at the end of its standard input, or when nothing has come from the coordinator for
a minute, it ends its workers and itself. In turn it says every other second that it is alive. Its workers are its
children and die with it.

What it says is one JSON object a line on standard output, with a `word`: `here`, `alive`, `died` or `done`.
"""

import json
import os
import socket
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from catbuilder.core.errors import WorkerDied
from catbuilder.core.machine import usable_cores
from catbuilder.core.processes import HOST_AGENT_VARIABLE
from catbuilder.core.version import __version__
from catbuilder.rounds.launch.processes import Worker, run_all

ALIVE_EVERY_S = 2.0
# Longer than the coordinator waits for us: it may be stopped and continued (Ctrl-Z, fg), we have nothing else to do.
_COORDINATOR_SILENT_S = 60.0


class Task(BaseModel):
    """Task of the agent: the first line of its standard input."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    token: Path  # a file of the workspace that the coordinator has just written
    coordinator: str  # its address as seen from here
    environment: dict[str, str]
    workers: tuple[Worker, ...] = ()
    restarts: int = 0


class Here(BaseModel):
    """Cores and versions of a host, sent before it starts anything."""

    cores: int
    sees_workspace: bool
    versions: dict[str, str]  # of what must agree between hosts


def about_this_machine(token: Path) -> Here:
    """Collect what the coordinator compares between hosts."""
    return Here(cores=usable_cores(), sees_workspace=token.is_file(), versions=_versions())


def main() -> None:
    """Run the workers of the task given on standard input, and report how they ended."""
    with open(0, "rb", buffering=0, closefd=False) as stdin:
        task = Task.model_validate_json(stdin.readline())
    line = _Line()
    os.environ.update(task.environment)
    os.environ[HOST_AGENT_VARIABLE] = str(os.getpid())
    if any("HOROVOD_GLOO_RENDEZVOUS_PORT" in worker.environment for worker in task.workers):
        os.environ["HOROVOD_GLOO_RENDEZVOUS_ADDR"] = task.coordinator
        os.environ.setdefault("HOROVOD_GLOO_IFACE", _interface_towards(task.coordinator))
    line.say("here", **about_this_machine(task.token).model_dump())
    try:
        run_all(task.workers, line.tend, task.restarts)
        line.say("done")
    except WorkerDied as error:
        line.say("died", message=str(error), killed=error.killed)


class _CoordinatorGone(SystemExit):
    """Nobody is left to work for."""


class _Line:
    """The line to the coordinator: what it says is of no interest, only that it still says something."""

    def __init__(self) -> None:
        os.set_blocking(0, False)
        self._heard = time.monotonic()
        self._spoke = 0.0

    def tend(self) -> None:
        """Listen and say that we are alive; raises when the coordinator has gone."""
        now = time.monotonic()
        try:
            if not os.read(0, 4096):
                raise _CoordinatorGone
            self._heard = now
        except BlockingIOError:
            if now - self._heard > _COORDINATOR_SILENT_S:
                raise _CoordinatorGone from None
        if now - self._spoke >= ALIVE_EVERY_S:
            self.say("alive")

    def say(self, word: str, **more: object) -> None:
        self._spoke = time.monotonic()
        try:
            print(json.dumps({"word": word, **more}), flush=True)
        except OSError:
            raise _CoordinatorGone from None


def _versions() -> dict[str, str]:
    found = {"catbuilder": __version__}
    for package in ("torch", "timm", "horovod"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "none"
    return found


def _interface_towards(address: str) -> str:
    """Name of the network interface by which this host reaches an address; each host may call it otherwise."""
    import psutil  # comes with Horovod, which alone asks for this

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((address, 9))  # sends nothing
        own = probe.getsockname()[0]
    for name, addresses in psutil.net_if_addrs().items():
        if any(found.address == own for found in addresses):
            return name
    return "lo"


if __name__ == "__main__":
    main()
