"""Start ranks: the processes that train one network together with Horovod, on this machine or on a cluster.

One rank is one plain process. Several meet through Horovod's own rendezvous server: on one machine `init` then takes
2.9 s, with `horovodrun` 6.5 s.
"""

import socket
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any

import psutil

from catbuilder.core.cluster import current_cluster
from catbuilder.core.errors import LaunchError
from catbuilder.network.jobs import TrainJob
from catbuilder.rounds.launch.processes import Worker, require_cores, run_all, thread_settings

_MEETING_S = 120  # on a cluster: a slow node needs time to import PyTorch, from a disk that many read at once


def run_ranks(job: TrainJob, ranks: int, watch: Callable[[], None], module: str = "catbuilder.network.train") -> None:
    """Run `ranks` processes that train together; if one fails, all are stopped.

    Parameters
    ----------
    watch : called some times a second while they run

    Raises
    ------
    LaunchError
        More than one rank, and Horovod is not installed; or the cluster has no room, or a node cannot be used.
    WorkerDied
        A rank ended before its work was done; the others were ended too.
    HostLost
        A node was lost; the other ranks were ended too.
    """
    if ranks > 1:
        require_horovod()
    job_file, settings = job.write(job.folder / "job.json"), thread_settings(job.threads)
    workers = [Worker(module, job_file, job.folder / f"rank-{rank}.log", settings, job) for rank in range(ranks)]
    if cluster := current_cluster():
        from catbuilder.rounds.launch.cluster import run_together

        run_together(cluster, workers, job.threads, watch)
        return
    require_cores(ranks)
    if ranks == 1:
        run_all(workers, watch)
        return
    server, environments = meet([LOCALHOST] * ranks, LOCALHOST)
    try:
        ready = [replace(w, environment={**settings, **there}) for w, there in zip(workers, environments, strict=True)]
        run_all(ready, watch)
    finally:
        server.stop()


def require_horovod() -> None:
    """Raise LaunchError, with what to do, if Horovod cannot be imported."""
    try:
        import horovod.torch  # noqa: F401
    except ImportError as error:
        raise LaunchError(
            f"more than one process needs Horovod, which cannot be imported ({error}); "
            "build it with: scripts/build/build_horovod.sh, or use one process: catbuilder round --np 1"
        ) from None


LOCALHOST = "127.0.0.1"


def meet(places: Sequence[str], address: str) -> tuple[Any, list[dict[str, str]]]:
    """Start Horovod's rendezvous server here; give it, and the environment variables of each rank.

    Parameters
    ----------
    places : name of each rank's machine; ranks of one machine follow each other
    address : of this machine, as the ranks reach it
    """
    from horovod.runner.common.util.hosts import HostInfo, get_host_assignments
    from horovod.runner.gloo_run import create_run_env_vars, create_slot_env_vars
    from horovod.runner.http.http_server import RendezvousServer

    hosts = [HostInfo(place, len(list(ranks))) for place, ranks in groupby(places)]
    slots = get_host_assignments(hosts, len(places))
    server = RendezvousServer()
    port = server.start()
    server.init(slots)
    common = {key: str(value) for key, value in create_run_env_vars(address, ["lo"], port).items()}
    if address != LOCALHOST:  # each machine finds its own
        del common["HOROVOD_GLOO_IFACE"], common["NCCL_SOCKET_IFNAME"]
        common["HOROVOD_GLOO_TIMEOUT_SECONDS"] = str(_MEETING_S)
    return server, [{**common, **create_slot_env_vars(slot)} for slot in slots]


def interface_towards(address: str) -> str:
    """Name the network interface by which this machine reaches an address; each machine may call it otherwise."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((address, 9))  # sends nothing
        own = probe.getsockname()[0]
    for name, addresses in psutil.net_if_addrs().items():
        if any(found.address == own for found in addresses):
            return name
    return "lo"
