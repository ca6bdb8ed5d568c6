"""On a node of a Ray cluster, start one worker process and say how it fares.

The worker is the same process as on one machine, so its code knows nothing of Ray and its bits are the same. Ray ends
its attendant, an actor, with the coordinator or the node; the kernel then ends the worker, which is its child.
"""

import os
import socket
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from subprocess import TimeoutExpired

from catbuilder.core.processes import PARENT_VARIABLE
from catbuilder.core.version import __version__
from catbuilder.rounds.launch.carry import News, NodeFolder
from catbuilder.rounds.launch.processes import Worker, start_worker
from catbuilder.rounds.launch.ranks import meet

POLL_S = 0.25


@dataclass(frozen=True)
class About:
    """What the coordinator must know of a node before it starts anything there."""

    node_id: str
    sees_workspace: bool
    versions: dict[str, str]


class Attendant:
    """Ray actor that starts a worker process as its child.

    Parameters
    ----------
    token : a file of the workspace that the coordinator has just written
    key : of the coordinator, the same for all its attendants
    """

    def __init__(self, token: Path, key: str) -> None:
        self._token, self._key = token, key
        self._written: Path | None = None  # folder of what the worker writes, if the coordinator does not see it

    def about(self) -> About:
        """Describe this node."""
        import ray

        return About(ray.get_runtime_context().get_node_id(), self._token.is_file(), versions())

    def meet(self, places: Sequence[str]) -> list[dict[str, str]]:
        """Start the rendezvous server of all ranks; asked of the attendant of rank 0."""
        import ray

        alone = len(set(places)) == 1
        self._server, ranks = meet(places, "127.0.0.1" if alone else ray.util.get_node_ip_address())
        return ranks

    def missing(self, digests: set[str]) -> list[str]:
        """List those files that must be sent."""
        self._files = NodeFolder(self._key)
        return self._files.missing(digests)

    def take(self, digest: str, chunk: bytes, last: bool) -> None:
        """Take a part of a file."""
        self._files.take(digest, chunk, last)

    def lay_out(self, files: Mapping[str, str]) -> Path:
        """Make a workspace of the files that were sent, and give its folder."""
        self._files.lay_out(files)
        return self._files.root

    def start(self, worker: Worker, job: str) -> None:
        """Start the worker; its job is given as text if it is to read the files that were sent."""
        if job:
            self._written = worker.job.parent
            self._written.mkdir(parents=True)
            worker.job.write_text(job, encoding="utf-8")
        environment = {**worker.environment, PARENT_VARIABLE: str(os.getpid())}
        address = environment.get("HOROVOD_GLOO_RENDEZVOUS_ADDR")
        if address and "HOROVOD_GLOO_IFACE" not in {**os.environ, **environment}:
            environment["HOROVOD_GLOO_IFACE"] = _interface_towards(address)
        self._process = start_worker(replace(worker, environment=environment))

    def look(self, known: Mapping[str, int]) -> tuple[int | None, list[News]]:
        """Wait a moment for the worker to end; give its exit code, if any, and what it wrote that has to be carried."""
        with suppress(TimeoutExpired):
            self._process.wait(POLL_S)
        code = self._process.poll()
        return code, self._files.news(self._written, known) if self._written else []


def versions() -> dict[str, str]:
    """List the versions of what must agree between nodes."""
    found = {"catbuilder": __version__}
    for package in ("torch", "timm", "horovod"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "none"
    return found


def _interface_towards(address: str) -> str:
    """Name the network interface by which this node reaches an address; each node may call it otherwise."""
    import psutil

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((address, 9))  # sends nothing
        own = probe.getsockname()[0]
    for name, addresses in psutil.net_if_addrs().items():
        if any(found.address == own for found in addresses):
            return name
    return "lo"
