"""Connect to the machines of a Ray cluster.

Ray notices lost nodes, places work on cores and GPUs, and ends what a killed coordinator leaves. It is needed with
`--cluster` alone and imported nowhere else, so that everything on one machine starts as fast without it.
"""

import logging
import os
import re
import secrets
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from catbuilder.core.errors import CatbuilderError, HostLost, InputError, LaunchError
from catbuilder.core.machine import usable_cores
from catbuilder.core.safe_text import counted, in_one_line
from catbuilder.core.version import versions_that_matter

_ADDRESS = re.compile(r"auto|local|(ray://)?([A-Za-z0-9][A-Za-z0-9._-]*|\[[0-9a-f:]+\]):[0-9]{1,5}")
_STORE_BYTES = 100_000_000  # of `local`, whose processes read the workspace itself
_ANSWERS_S = 10.0
_WAIT_S = 2.0  # between looks at the nodes, while we wait for room
_RECONNECT_S = "5"  # a killed coordinator that was connected by ray:// is waited for so long, 30 s by Ray's own choice


HERE = "leave --cluster out to work on this machine"
"""What may be done instead, for most work."""
FEWER = "go on with fewer by a new plan: catbuilder round --replan --np {room}"
"""What may be done instead, for a round."""


@dataclass(frozen=True)
class Node:
    """A machine of the cluster."""

    name: str
    cores: int
    gpus: int


@dataclass(frozen=True)
class Cluster:
    """The cluster that this process is connected to.

    Attributes
    ----------
    address : as it was given
    say : is told, once, that there is no room yet
    otherwise : what else may be done where there is too little room, if there is some; `{room}` is for how many
        processes
    key : a name for what this coordinator keeps on nodes
    at_end : called before the connection ends
    """

    address: str
    say: Callable[[str], None] = lambda _: None
    otherwise: str = ""
    key: str = field(default_factory=lambda: secrets.token_hex(8))
    at_end: list[Callable[[], None]] = field(default_factory=list)
    _told: list[str] = field(default_factory=list)

    def nodes(self) -> dict[str, Node]:
        """List the nodes that are up, by Ray's id of them."""
        return {key: node for key, (node, alive) in self._all_nodes().items() if alive}

    def name_of(self, node_id: str) -> str:
        """Give the name of a node, whether it is up or down."""
        known = self._all_nodes().get(node_id)
        return known[0].name if known else "of the cluster"

    def threads_for(self, ranks: int) -> int:
        """Compute the threads of each rank: as many cores as every rank can have on the node where it finds room.

        Raises
        ------
        LaunchError
            The cluster has fewer cores than ranks, or fewer GPUs if it has any.
        """
        for threads in range(max((node.cores for node in self.nodes().values()), default=0), 0, -1):
            if self.room_for(threads) >= ranks:
                return threads
        self.require_room(ranks, 1)
        return 1

    def room_for(self, threads: int, on_gpus: bool = True) -> int:
        """Count the processes of so many threads, and one GPU if there are any, that all nodes have room for."""
        gpus = on_gpus and self.has_gpus()
        return sum(
            min(node.cores // threads, node.gpus) if gpus else node.cores // threads for node in self.nodes().values()
        )

    def require_room(self, processes: int, threads: int, on_gpus: bool = True) -> None:
        """Raise LaunchError, with what to do, if the nodes that are up have no room for so many processes."""
        room = self.room_for(threads, on_gpus)
        if room < processes:
            each = f"{counted(threads, 'core')}{' and a GPU' if on_gpus and self.has_gpus() else ''}"
            otherwise = self.otherwise.format(room=room) if room or "{room}" not in self.otherwise else "wait for one"
            raise LaunchError(
                f"{counted(processes, 'process', 'processes')} of {each} each {'was' if processes == 1 else 'were'} "
                f"asked for, and the nodes of the cluster have room for {room}; add nodes, or "
                f"{otherwise or 'wait for one'}"
            )

    @contextmanager
    def reserved(
        self, processes: int, threads: int, watch: Callable[[], None] = lambda: None, tell: Callable[[], bool] = bool,
        on_gpus: bool = True,
    ) -> Iterator[Any]:  # fmt: skip
        """Hold room for processes while the body runs, and give its placement group; wait for it if others have it.

        Parameters
        ----------
        watch : called while we wait
        tell : whether to say that we wait; by default not
        on_gpus : whether each gets a GPU, if there are any
        """
        from ray.util.placement_group import placement_group, remove_placement_group

        self.require_room(processes, threads, on_gpus)
        bundle = {"CPU": threads} | ({"GPU": 1} if on_gpus and self.has_gpus() else {})
        group = placement_group([bundle] * processes)
        try:
            while not group.wait(_WAIT_S):
                self.require_room(processes, threads, on_gpus)
                if tell() and not self._told:
                    room = counted(processes * threads, "CPU")
                    self._told.append(f"waiting for {room} on the cluster at {self.address}")
                    self.say(self._told[0])
                watch()
            yield group
        finally:
            remove_placement_group(group)

    def refuse_other_versions(self, node: str, there: Mapping[str, str]) -> None:
        """Raise LaunchError if a node has other versions of what must agree."""
        for package, here in versions_that_matter().items():
            if there.get(package) != here:
                raise LaunchError(
                    f"node {node} has {package} {there.get(package)} and this machine {here}; "
                    "give all nodes the same environment"
                )

    def get(self, answer: Any, node: str = "of the cluster") -> Any:
        """Wait for the answer of a process on a node; raises its own error, LaunchError, or HostLost if it is gone."""
        import ray

        try:
            return ray.get(answer)
        except ray.exceptions.RayTaskError as error:
            if isinstance(error.cause, CatbuilderError):
                raise error.cause from None
            raise LaunchError(f"node {node} cannot be used: {in_one_line(error.cause)}") from None
        except ray.exceptions.RayError as error:
            if getattr(error, "actor_init_failed", False):
                why = in_one_line(str(error).strip().splitlines()[-1])
                raise LaunchError(f"a node {node} cannot be used: {why}") from None
            raise HostLost(f"node {node} was lost (it went down, or ended our process there)") from None

    def has_gpus(self) -> bool:
        """Whether a node has a GPU."""
        return any(node.gpus for node in self.nodes().values())

    def _all_nodes(self) -> dict[str, tuple[Node, bool]]:
        import ray

        found = {}
        for row in ray.nodes():
            resources = row["Resources"]
            own = row.get("NodeName") or ""
            name = own if own and own != row["NodeManagerAddress"] else row["NodeManagerHostname"]
            node = Node(name, int(resources.get("CPU", 0)), int(resources.get("GPU", 0)))
            found[row["NodeID"]] = node, row["Alive"]
        return found


_current: ContextVar[Cluster | None] = ContextVar("cluster", default=None)


def current_cluster() -> Cluster | None:
    """Give the cluster that the work of this thread runs on; None means processes of this machine."""
    return _current.get()


@contextmanager
def connected(
    address: str, say: Callable[[str], None] = lambda _: None, otherwise: str = ""
) -> Iterator[Cluster | None]:
    """Run the work of the body on a cluster; an empty address means on this machine, without Ray.

    Parameters
    ----------
    address : `auto` (that of this machine), `local` (a new one of this machine alone, for the time of the body),
        `ray://HOST:PORT` (from outside), or `HOST:PORT` (from one of its machines)
    say, otherwise : see `Cluster`

    Raises
    ------
    InputError
        The address is none of these.
    LaunchError
        Ray is not installed, or the cluster cannot be reached.
    """
    if not address:
        token = _current.set(None)
        try:
            yield None
        finally:
            _current.reset(token)
        return
    if not _ADDRESS.fullmatch(address):
        raise InputError(
            f"'{address}' is not the address of a cluster; give --cluster auto, local, ray://HOST:PORT or HOST:PORT"
        )
    own = not _ray().is_initialized()  # a notebook may have connected already, and an experiment's rounds have
    if own:
        _connect(address)
    cluster = Cluster(address, say, otherwise)
    token = _current.set(cluster)
    try:
        with _ending_with_us() if own and address == "local" else nullcontext():
            yield cluster
    finally:
        _current.reset(token)
        for end in cluster.at_end:
            end()
        if own:
            _ray().shutdown()


def _ray() -> ModuleType:
    try:
        import ray
    except ImportError as error:
        raise LaunchError(
            f"--cluster needs Ray, which cannot be imported ({error}); install it here and on every node with: "
            "pip install 'catbuilder[cluster]'"
        ) from None
    return ray


def _connect(address: str) -> None:
    ray = _ray()
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is told to others
    os.environ.setdefault("RAY_CLIENT_RECONNECT_GRACE_PERIOD", _RECONNECT_S)
    settings: dict[str, object] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address == "local":
        settings |= {"num_cpus": usable_cores(), "include_dashboard": False, "object_store_memory": _STORE_BYTES}
    try:
        if ":" in address:  # Ray itself would try for minutes
            host, _, port = address.removeprefix("ray://").rpartition(":")
            socket.create_connection((host.strip("[]"), int(port)), _ANSWERS_S).close()
        try:
            ray.init(address, **settings)
        except ConnectionAbortedError:  # the cluster starts a server for each ray:// client, too late if it is busy
            ray.init(address, **settings)
    except Exception as error:  # each way to connect has its own
        raise LaunchError(
            f"the cluster {address} cannot be reached ({in_one_line(error)}); start it with ray start or "
            "scripts/slurm, or leave --cluster out to run on this machine"
        ) from None


@contextmanager
def _ending_with_us() -> Iterator[None]:
    """Let all processes of a `local` cluster end with this one, however it ends.

    Ray sees to most of them. But its agents, children of a killed raylet, try for a minute to report that.
    """
    import psutil

    children = [child.pid for child in psutil.Process().children(recursive=True)]
    words = [sys.executable, "-S", "-c", _GUARD, *map(str, children)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, start_new_session=True) as guard:
        try:
            yield
        finally:
            guard.kill()


_GUARD = """
import os, sys
sys.stdin.read()
for pid in sys.argv[1:]:
    try:
        os.kill(int(pid), 9)
    except OSError:
        pass
"""
