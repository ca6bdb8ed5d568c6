"""Run worker processes on the nodes of a Ray cluster: ranks that train together, and processes that score apart.

Ranks are a gang: all get their cores or GPUs, or none starts. Their rendezvous server runs beside rank 0, since a
coordinator outside of the cluster (`ray://`) may be out of their reach. Processes that score are gangs of one; Ray
places as many as there is room for, also on nodes that join later, and they are started again when a node is lost.
"""

import os
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

from catbuilder.core.carry import Home, send
from catbuilder.core.cluster import Cluster
from catbuilder.core.errors import CatbuilderError, HostLost, WorkerDied
from catbuilder.rounds.launch.attendant import POLL_S, Attendant
from catbuilder.rounds.launch.processes import Worker, failure_message

_SILENT_S = 60.0  # how long the other ranks are asked after one has failed: often because the node of another is gone
_MOST_AT_ONCE = 256  # processes that score; those without room show Ray's autoscaler that nodes are wanted
_CARRIED = ("CATBUILDER_", "HF_", "HOROVOD_", "NCCL_", "TORCH_")  # of our environment, by the beginning of its names


def run_together(
    cluster: Cluster, workers: Sequence[Worker], threads: int, watch: Callable[[], None],
    begun: threading.Event | None = None,
) -> None:  # fmt: skip
    """Run ranks that train together until all have succeeded; if one fails or its node is lost, all are stopped.

    Parameters
    ----------
    begun : set when there is room for them; if it is set before, others of ours have the room and nothing is said

    Raises
    ------
    LaunchError
        The cluster has no room for them, or a node cannot be used.
    HostLost
        A node was lost.
    WorkerDied
        A rank ended before its work was done.
    """
    import ray

    begun = begun or threading.Event()
    with (
        cluster.reserved(len(workers), threads, watch, lambda: not begun.is_set()) as room,
        _gang(cluster, workers, threads, room) as members,
    ):
        begun.set()
        waiting = {member.look(): member for member in members}
        while waiting:
            ready, _ = ray.wait(list(waiting), timeout=POLL_S)
            for answer in ready:
                member = waiting.pop(answer)
                if member.take(answer):
                    waiting[member.look()] = member
            if any(member.lost or member.code for member in members):
                _raise_cause(members, waiting)
            watch()


def run_apart(
    cluster: Cluster, workers: Sequence[Worker], threads: int, watch: Callable[[], None], restarts: int
) -> None:
    """Run processes that do not talk to each other, as many at a time as there is room for; raises like `run_together`.

    Parameters
    ----------
    restarts : how often each is started again, wherever there is room, after it was killed or its node was lost
    """
    stopped, begun = threading.Event(), threading.Event()

    def go_on() -> None:
        if stopped.is_set():
            raise WorkerDied("stopped with the others")

    def run(worker: Worker) -> None:
        for left in range(restarts, -1, -1):
            try:
                go_on()
                return run_together(cluster, [worker], threads, go_on, begun)
            except (HostLost, WorkerDied) as error:
                if left == 0 or not (isinstance(error, HostLost) or error.killed):
                    raise  # a refusal (exit code 1) would only be repeated

    with ThreadPoolExecutor(min(len(workers), _MOST_AT_ONCE)) as pool:
        futures = [pool.submit(run, worker) for worker in workers]
        try:
            while not all([future.done() and future.result() is None for future in futures]):  # a failed one raises
                watch()
                time.sleep(POLL_S)
        finally:
            stopped.set()
            pool.shutdown(wait=False, cancel_futures=True)


class _Member:
    """An attendant and its worker, as the coordinator sees them."""

    def __init__(self, cluster: Cluster, threads: int, place: Any) -> None:
        import ray

        self._cluster, self.name = cluster, "of the cluster"
        attendant = ray.remote(num_cpus=threads, num_gpus=int(cluster.has_gpus()))(Attendant)
        self.actor = attendant.options(scheduling_strategy=place).remote()
        self.worker: Worker
        self.code: int | None = None
        self.lost: CatbuilderError | None = None

    def get_ready(self, token: Path) -> None:
        """Wait for the attendant, and check that its node can be used."""
        self.node_id, self._sees_workspace, there = self.ask(self.actor.about.remote(token))
        self.name = self._cluster.name_of(self.node_id)
        self._cluster.refuse_other_versions(self.name, there)

    def start(self, worker: Worker) -> None:
        """Start a worker, after sending it what it reads if its node does not see the workspace."""
        self.worker, self._home, job = worker, Home(worker.log.parent), ""
        carried = {k: v for k, v in os.environ.items() if k.startswith(_CARRIED) or k == "PYTHONPATH"}
        there = replace(worker, environment={**carried, **worker.environment}, order=None)
        if worker.order and not self._sees_workspace:
            workspace = worker.order.workspace
            root = send(self._cluster, self.node_id, self.files, workspace, worker.order.files())
            folder = root / worker.log.parent.relative_to(workspace)
            there = replace(there, job=folder / worker.job.name, log=folder / worker.log.name)
            job = worker.order.below(root).model_dump_json()
        self.ask(self.actor.start.remote(there, job))

    def files(self, *method: Any) -> Any:
        """Call a method of the attendant's `NodeFolder`."""
        return self.ask(self.actor.files.remote(self._cluster.key, *method))

    def look(self) -> Any:
        """Ask how the worker fares; `take` reads the answer."""
        return self.actor.look.remote(self._home.known)

    def take(self, answer: Any) -> bool:
        """Read an answer, and give whether there are more to come."""
        try:
            code, news = self.ask(answer)
        except CatbuilderError as error:
            self.lost = error
            return False
        for each in news:
            self._home.write(each)
        self.code = None if news else code  # first whatever it wrote
        return self.code is None

    def ask(self, answer: Any) -> Any:
        """Wait for an answer of the attendant."""
        return self._cluster.get(answer, self.name)

    def end(self) -> None:
        """End the attendant, and its worker with it."""
        import ray

        with suppress(Exception):  # its node is gone
            if self._home.known:
                ray.get(self.actor.files.remote(self._cluster.key, "leave"), timeout=POLL_S)
        with suppress(Exception):
            ray.kill(self.actor)


@contextmanager
def _gang(cluster: Cluster, workers: Sequence[Worker], threads: int, room: Any) -> Iterator[list[_Member]]:
    """Start all workers, each in its place; they end with the body."""
    from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

    token = workers[0].log.parent / f".shared-{secrets.token_hex(8)}"
    token.touch()
    members: list[_Member] = []
    try:
        members += [_Member(cluster, threads, PlacementGroupSchedulingStrategy(room, n)) for n in range(len(workers))]
        for member in members:
            member.get_ready(token)
        nodes = [member.node_id for member in members]
        members.sort(key=lambda member: nodes.index(member.node_id))  # Horovod counts ranks node by node
        ranks: list[dict[str, str]] = [{}]
        if len(members) > 1:
            ranks = members[0].ask(members[0].actor.meet.remote(sorted(nodes, key=nodes.index)))
        meeting = [replace(w, environment={**w.environment, **r}) for w, r in zip(workers, ranks, strict=True)]
        with ThreadPoolExecutor() as pool:
            list(pool.map(_Member.start, members, meeting))
        yield members
    finally:
        token.unlink(missing_ok=True)
        for member in members:
            member.end()


def _raise_cause(members: Sequence[_Member], waiting: Mapping[Any, _Member]) -> NoReturn:
    """Raise what happened, once every rank was heard or missed: ranks fail too, and sooner, when a node is lost."""
    import ray

    deadline = time.monotonic() + _SILENT_S
    for answer, member in waiting.items():
        ready, _ = ray.wait([answer], timeout=max(0.0, deadline - time.monotonic()))
        if ready:
            member.take(answer)
        else:
            member.lost = HostLost(f"node {member.name} no longer answers")
    for member in members:
        if member.lost:
            raise type(member.lost)(f"{member.lost}{_ways_on(member, members)}")
    code, number = min((m.code, number) for number, m in enumerate(members) if m.code)  # killed ones (negative) first
    failed = members[number]
    raise WorkerDied(f"node {failed.name}: {failure_message(failed.worker, code)}", code < 0)


def _ways_on(lost: _Member, members: Sequence[_Member]) -> str:
    left = sum(member.node_id != lost.node_id for member in members)
    fewer = f", or go on with fewer by a new plan: catbuilder round --replan --np {left}" if left else ""
    many = f"{len(members)} processes" if len(members) > 1 else "it"
    return f"; nothing recorded is lost: give the same command again when the cluster has room for {many}{fewer}"
