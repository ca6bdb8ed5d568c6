"""Start ranks: the processes that train one network together with Horovod, on this machine or on several.

One rank is one plain process. Several meet through Horovod's own rendezvous server, started here: on one machine `init`
then takes 2.9 s, with `horovodrun` 6.5 s. For several hosts see `remote`.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path

from catbuilder.core.errors import LaunchError
from catbuilder.rounds.launch.hosts import assign_to_hosts
from catbuilder.rounds.launch.processes import Worker, thread_settings
from catbuilder.rounds.launch.remote import run_everywhere

# Longer than the half minute after which a silent host counts as lost: a slow host needs time to import PyTorch.
_MEETING_S = 120


def run_ranks(
    module: str, job: Path, folder: Path, ranks: int, threads: int, watch: Callable[[], None], hosts: str = ""
) -> None:
    """Run `ranks` processes that train together; if one fails, all are stopped.

    Parameters
    ----------
    watch : called some times a second while they run
    hosts : where they run, as in `node1:4,node2:4`; their processes must add up to `ranks`

    Raises
    ------
    LaunchError
        More than one rank, and Horovod is not installed; or a host cannot be used.
    WorkerDied
        A rank ended before its work was done; the others were ended too.
    HostLost
        A host went silent; the ranks of the others were ended too.
    """
    where = assign_to_hosts(hosts, ranks)
    with _meeting(where) as environments:
        workers = [
            Worker(module, job, folder / f"rank-{rank}.log", {**environment, **thread_settings(threads)}, host)
            for rank, ((host, _), environment) in enumerate(zip(where, environments, strict=True))
        ]
        run_everywhere(folder, workers, watch)


def require_horovod() -> None:
    """Raise LaunchError, with what to do, if Horovod cannot be imported."""
    try:
        import horovod.torch  # noqa: F401
    except ImportError as error:
        raise LaunchError(
            f"more than one process needs Horovod, which cannot be imported ({error}); "
            "build it with: scripts/build/build_horovod.sh, or use one process: catbuilder round --np 1"
        ) from None


@contextmanager
def _meeting(where: Sequence[tuple[str, int]]) -> Iterator[list[dict[str, str]]]:
    """Run a rendezvous server and give the environment variables of each rank; a single rank needs neither."""
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
    if where[0][0]:  # the agent of each host finds them itself
        for found_there in ("HOROVOD_GLOO_RENDEZVOUS_ADDR", "HOROVOD_GLOO_IFACE", "NCCL_SOCKET_IFNAME"):
            del common[found_there]
        common["HOROVOD_GLOO_TIMEOUT_SECONDS"] = str(_MEETING_S)
    try:
        yield [{**common, **create_slot_env_vars(slot)} for slot in slots]
    finally:
        server.stop()
