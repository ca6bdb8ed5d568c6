"""Ranks: processes that train together, on this machine or on several, and how they meet.

One rank is one plain process. Several meet through Horovod's own rendezvous server: on one machine that takes 2.9 s
to `init`, where `horovodrun` takes 6.5 s, and over hosts see `remote`.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path

from catbuilder.core.errors import LaunchError
from catbuilder.rounds.launch.hosts import places
from catbuilder.rounds.launch.processes import Worker, thread_settings
from catbuilder.rounds.launch.remote import run_everywhere

# A host that is lost is missed by its starter, after half a minute; a slow one may take its time to import PyTorch.
_MEETING_S = 120


def run_ranks(
    module: str, job: Path, folder: Path, ranks: int, threads: int, watch: Callable[[], None], hosts: str = ""
) -> None:
    """Run `ranks` processes that train together; all end well, or all are ended.

    Parameters
    ----------
    watch : called some times a second while they run
    hosts : where, as in `node1:4,node2:4`; their processes are as many as `ranks`

    Raises
    ------
    LaunchError
        More than one rank, and Horovod is not installed; or a host cannot be used.
    WorkerDied
        A rank ended before its work was done; the others were ended too.
    HostLost
        A host went silent; the ranks of the others were ended too.
    """
    where = places(hosts, ranks)
    with _meeting(where) as environments:
        workers = [
            Worker(module, job, folder / f"rank-{rank}.log", {**environment, **thread_settings(threads)}, host)
            for rank, ((host, _), environment) in enumerate(zip(where, environments, strict=True))
        ]
        run_everywhere(folder, workers, watch)


def require_horovod() -> None:
    """Raise LaunchError, with what to do, where Horovod cannot be imported."""
    try:
        import horovod.torch  # noqa: F401
    except ImportError as error:
        raise LaunchError(
            f"more than one process needs Horovod, which cannot be imported ({error}); "
            "build it with: scripts/build/build_horovod.sh, or use one process: catbuilder round --np 1"
        ) from None


@contextmanager
def _meeting(where: Sequence[tuple[str, int]]) -> Iterator[list[dict[str, str]]]:
    """A rendezvous server here, and the environment of each rank that meets there; a single rank needs neither."""
    if len(where) == 1:
        yield [{}]
        return
    require_horovod()
    from horovod.runner.common.util.hosts import HostInfo, get_host_assignments
    from horovod.runner.gloo_run import create_run_env_vars, create_slot_env_vars
    from horovod.runner.http.http_server import RendezvousServer

    hosts = [HostInfo(host or "127.0.0.1", len(list(slots))) for host, slots in groupby(where, lambda place: place[0])]
    slots = get_host_assignments(hosts, len(where))
    server = RendezvousServer()
    port = server.start()
    server.init(slots)
    common = {key: str(value) for key, value in create_run_env_vars("127.0.0.1", ["lo"], port).items()}
    if where[0][0]:  # each host's starter finds its way here
        for found_there in ("HOROVOD_GLOO_RENDEZVOUS_ADDR", "HOROVOD_GLOO_IFACE", "NCCL_SOCKET_IFNAME"):
            del common[found_there]
        common["HOROVOD_GLOO_TIMEOUT_SECONDS"] = str(_MEETING_S)
    try:
        yield [{**common, **create_slot_env_vars(slot)} for slot in slots]
    finally:
        server.stop()
